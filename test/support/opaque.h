// A function the compiler is to know nothing of but its type: not inlined, not cloned, its callers
// rely on the calling convention alone. For C and C++.
#pragma once

#ifdef __clang__
  #define SELFHEAL_OPAQUE __attribute__((noinline, optnone))
#else
  #define SELFHEAL_OPAQUE __attribute__((noipa))
#endif
