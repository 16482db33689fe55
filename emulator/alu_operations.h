// Integer operations on values, executed by the processor itself.
#pragma once

#include "emulator/flags.h"

namespace selfheal::emulator {

// Each has run(a, b, flags): the result, with `flags` updated.
#define SELFHEAL_BINARY(Name, instruction)              \
  struct Name {                                         \
    static constexpr bool writes = true;                \
    template <typename T>                               \
    static T run(T a, T b, u64& flags) {                \
      u32 ax;                                           \
      asm(instruction " %[b], %[a]" SELFHEAL_SAVE_FLAGS \
          : [a] "+r"(a), "=&a"(ax)                      \
          : [b] "r"(b)                                  \
          : "cc");                                      \
      flags = merge_flags(flags, ax);                   \
      return a;                                         \
    }                                                   \
  };

SELFHEAL_BINARY(Add, "add")
SELFHEAL_BINARY(Sub, "sub")
SELFHEAL_BINARY(And, "and")
SELFHEAL_BINARY(Or, "or")
SELFHEAL_BINARY(Xor, "xor")

#define SELFHEAL_BINARY_CARRY(Name, instruction)                            \
  struct Name {                                                             \
    static constexpr bool writes = true;                                    \
    template <typename T>                                                   \
    static T run(T a, T b, u64& flags) {                                    \
      u32 ax = static_cast<u32>(flags);                                     \
      asm("btl $0, %%eax\n\t" instruction " %[b], %[a]" SELFHEAL_SAVE_FLAGS \
          : [a] "+r"(a), "+a"(ax)                                           \
          : [b] "r"(b)                                                      \
          : "cc");                                                          \
      flags = merge_flags(flags, ax);                                       \
      return a;                                                             \
    }                                                                       \
  };

SELFHEAL_BINARY_CARRY(Adc, "adc")
SELFHEAL_BINARY_CARRY(Sbb, "sbb")

struct Cmp : Sub {
  static constexpr bool writes = false;
};
struct Test : And {
  static constexpr bool writes = false;
};

#define SELFHEAL_UNARY(Name, instruction, kept)                                       \
  struct Name {                                                                       \
    template <typename T>                                                             \
    static T run(T a, u64& flags) {                                                   \
      u32 ax;                                                                         \
      asm(instruction " %[a]" SELFHEAL_SAVE_FLAGS : [a] "+r"(a), "=&a"(ax) : : "cc"); \
      flags = (flags & ~(status_flags & ~(kept))) | (unpack_flags(ax) & ~(kept));     \
      return a;                                                                       \
    }                                                                                 \
  };

SELFHEAL_UNARY(Inc, "inc", flag_cf)
SELFHEAL_UNARY(Dec, "dec", flag_cf)
SELFHEAL_UNARY(Neg, "neg", u64{0})

struct Not {
  template <typename T>
  static T run(T a, u64&) {
    return static_cast<T>(~a);
  }
};

}  // namespace selfheal::emulator
