// A function the compiler is to know nothing of but its type: not inlined, not cloned, its callers
// rely on the calling convention alone. For C and C++.
#pragma once

#ifdef __clang__
  #define SELFHEAL_OPAQUE __attribute__((noinline, optnone))
#else
  #define SELFHEAL_OPAQUE __attribute__((noipa))
#endif

// A function of its own: neither inlined nor cloned, but optimised like any other.
#ifdef __clang__  // which clones nothing
  #define SELFHEAL_APART __attribute__((noinline))
#else
  #define SELFHEAL_APART __attribute__((noinline, noclone))
#endif
