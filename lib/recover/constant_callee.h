// Calls whose result is known without running them: of functions that do nothing but return one
// constant. In C++ the second half of an error_code comes from such a one.
//
//   std::generic_category:  endbr64
//                           lea  rax, [rip + the category]
//                           ret
#pragma once

#include "lib/recover/code_walk.h"

namespace selfheal::recover {

// True where the function at `entry` is one; it returns `value`.
bool returns_constant(const ImageView& image, u64 entry, u64& value);

// The same of an imported function that may be looked for: by name, in all modules, which takes
// long; and the linker's lock. Not for signal handlers.
bool import_returns_constant(const ImageView& image, const char* name, u64& value);

}  // namespace selfheal::recover
