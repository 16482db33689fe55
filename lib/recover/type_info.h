// std::type_info objects in memory, by the layouts of the Itanium C++ ABI, section 2.9.5: which
// type is which other one's base, without calling anything of theirs.
//
//   type_info ─► its own class's vtable: what kind of a type it is
//             ─► name, "St13runtime_error"; one that begins with '*' is the same only in one place
//             ─► base (a class with one), or flags, count, and (base, offset and flags) each
//
// Signal-safe; what is damaged has no name and no bases.
#pragma once

#include "lib/base/standard_exception.h"

namespace selfheal::recover {

// Would `catch (const clause&)` take an object of `type`? Both by their std::type_info.
bool is_caught_by(u64 type, u64 clause);

bool is_caught_by(StandardException exception, u64 clause);

// The nearest among the type and its public bases; `none`: it has none among them.
StandardException standard_exception_of(u64 type);

// The one that a word in a module's table of pointers refers to; 0: none.
u64 type_at(u64 slot);

// The address of code of the library that has the class of std::type_info; 0: damaged.
u64 code_behind_type(u64 type);

}  // namespace selfheal::recover
