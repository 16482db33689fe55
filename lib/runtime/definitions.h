// Where a libc or allocator function really is.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// The definition that a call of `name` ends up in; 0: none. dlsym alone may answer with an entry of
// the program's procedure linkage table: the address of the function as far as pointers to it are
// concerned, in a program that is not position-independent (System V ABI, "function addresses").
u64 find_definition(const char* name);

}  // namespace selfheal::runtime
