// System calls without libc: no errno, no cancellation point, no interposition, usable in a signal
// handler and in a thread that has no libc state. Returns -errno on failure as the kernel does.
#pragma once

#include <sys/syscall.h>

#include "lib/base/types.h"

namespace selfheal {

inline long raw_syscall(long number, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0,
                        u64 f = 0) {
  long result;
  register u64 r10_ asm("r10") = d;
  register u64 r8_ asm("r8") = e;
  register u64 r9_ asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10_), "r"(r8_), "r"(r9_)
               : "rcx", "r11", "memory");
  return result;
}

inline bool syscall_failed(long result) {
  return result < 0 && result >= -4095;
}

}  // namespace selfheal
