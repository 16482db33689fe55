// `main` of a program whose symbols were stripped.
#pragma once

#include "lib/image/module.h"

namespace selfheal::image {

// Run-time address of the program's `main`, as the code at the ELF entry point hands it to
// __libc_start_main (System V ABI: the first argument, in rdi); 0 when that code looks like nothing
// a C library's start-up file has. Once relocations are done. `module` is the program itself.
u64 find_main(const Module& module);

}  // namespace selfheal::image
