// What setjmp keeps of the stack pointer, the frame pointer and the return address is mangled by
// glibc (sysdeps/unix/sysv/linux/x86_64/pointer_guard.h, PTR_MANGLE): xor with the word at
// %fs:0x30, then rotated left by 17.
#pragma once

#include "lib/base/types.h"

namespace selfheal {

inline u64 demangled(u64 word) {
  asm("rorq $17, %0\n\txorq %%fs:0x30, %0" : "+r"(word));
  return word;
}

}  // namespace selfheal
