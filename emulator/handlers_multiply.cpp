// Multiplication and division. Division is checked first: what would raise #DE is told as a fault
// without raising it.
#include <type_traits>

#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

template <typename T>
T multiply(T a, T b, u64& flags) {
  u32 ax = pack_flags(flags);
  asm(SELFHEAL_LOAD_FLAGS "imul %[b], %[a]" SELFHEAL_SAVE_FLAGS
      : [a] "+r"(a), "+a"(ax)
      : [b] "r"(b)
      : "cc");
  flags = merge_flags(flags, ax);
  return a;
}

template <typename T>
const Op* multiply2_register(Thread& t, const Op& op) {
  set<T>(t, op.a, multiply<T>(get<T>(t, op.a), get<T>(t, op.b), t.guest.rflags));
  return &op + 1;
}

template <typename T>
const Op* multiply2_memory(Thread& t, const Op& op) {
  T b;
  if (!load<T>(t, effective(t, op), b)) {
    return nullptr;
  }
  set<T>(t, op.a, multiply<T>(get<T>(t, op.a), b, t.guest.rflags));
  return &op + 1;
}

template <typename T>
const Op* multiply3_register(Thread& t, const Op& op) {
  set<T>(t, op.a, multiply<T>(get<T>(t, op.b), static_cast<T>(op.immediate), t.guest.rflags));
  return &op + 1;
}

template <typename T>
const Op* multiply3_memory(Thread& t, const Op& op) {
  T b;
  if (!load<T>(t, effective(t, op), b)) {
    return nullptr;
  }
  set<T>(t, op.a, multiply<T>(b, static_cast<T>(op.immediate), t.guest.rflags));
  return &op + 1;
}

template <typename T, bool FromMemory>
bool operand(Thread& t, const Op& op, T& value) {
  if constexpr (FromMemory) {
    return load<T>(t, effective(t, op), value);
  } else {
    value = get<T>(t, op.a);
    return true;
  }
}

// rdx:rax = rax * operand (ax = al * operand for bytes).
template <typename T, bool Sign, bool FromMemory>
const Op* multiply1(Thread& t, const Op& op) {
  T b;
  if (!operand<T, FromMemory>(t, op, b)) {
    return nullptr;
  }
  u64 flags = t.guest.rflags;
  u64 low = t.guest.gpr[rax];
  u64 high = t.guest.gpr[rdx];
  // The flags travel through rcx, as the product takes rax.
  u64 packed = pack_flags(flags);
  if constexpr (Sign) {
    asm("xchg %%rax, %%rcx\n\t" SELFHEAL_LOAD_FLAGS
        "xchg %%rax, %%rcx\n\timul %[b]\n\t"
        "xchg %%rax, %%rcx" SELFHEAL_SAVE_FLAGS "\n\txchg %%rax, %%rcx"
        : "+&a"(low), "+&d"(high), "+&c"(packed)
        : [b] "r"(b)
        : "cc");
  } else {
    asm("xchg %%rax, %%rcx\n\t" SELFHEAL_LOAD_FLAGS
        "xchg %%rax, %%rcx\n\tmul %[b]\n\t"
        "xchg %%rax, %%rcx" SELFHEAL_SAVE_FLAGS "\n\txchg %%rax, %%rcx"
        : "+&a"(low), "+&d"(high), "+&c"(packed)
        : [b] "r"(b)
        : "cc");
  }
  t.guest.gpr[rax] = low;
  t.guest.gpr[rdx] = high;
  t.guest.rflags = merge_flags(flags, static_cast<u32>(packed));
  return &op + 1;
}

// Would the quotient fit? By magnitudes for signed division, so that nothing here can overflow.
template <typename T>
bool quotient_fits(T high, T low, T divisor, bool sign) {
  constexpr unsigned bits = sizeof(T) * 8;
  if (divisor == 0) {
    return false;
  }
  if (!sign) {
    return high < divisor;
  }
  const bool negative_divisor = (divisor >> (bits - 1)) != 0;
  const bool negative_dividend = (high >> (bits - 1)) != 0;
  const T magnitude = negative_divisor ? static_cast<T>(0 - divisor) : divisor;
  T l = low;
  T h = high;
  if (negative_dividend) {
    l = static_cast<T>(0 - low);
    h = static_cast<T>(~high + (low == 0 ? 1 : 0));
  }
  if (h >= magnitude) {
    return false;
  }
  // |quotient| < 2^bits here; it must be < 2^(bits-1), or equal to that when negative.
  T quotient;
  if constexpr (sizeof(T) == 8) {
    u64 remainder;
    asm("div %[d]" : "=a"(quotient), "=d"(remainder) : "0"(l), "1"(h), [d] "r"(magnitude) : "cc");
  } else {
    quotient = static_cast<T>(((static_cast<u64>(h) << bits) | l) / magnitude);
  }
  const T limit = static_cast<T>(T{1} << (bits - 1));
  return quotient < limit || (quotient == limit && negative_divisor != negative_dividend);
}

template <typename T, bool Sign, bool FromMemory>
const Op* divide(Thread& t, const Op& op) {
  T divisor;
  if (!operand<T, FromMemory>(t, op, divisor)) {
    return nullptr;
  }
  const T low = get<T>(t, rax * 8);
  const T high = sizeof(T) == 1 ? get<T>(t, rax * 8 + 1) : get<T>(t, rdx * 8);
  if (!quotient_fits<T>(high, low, divisor, Sign)) {
    return stop_with_fault(t, FaultKind::divide, Access::none, 0);
  }
  u64 quotient = t.guest.gpr[rax];
  u64 remainder = t.guest.gpr[rdx];
  u64 packed = pack_flags(t.guest.rflags);
  if constexpr (Sign) {
    asm("xchg %%rax, %%rcx\n\t" SELFHEAL_LOAD_FLAGS
        "xchg %%rax, %%rcx\n\tidiv %[b]\n\t"
        "xchg %%rax, %%rcx" SELFHEAL_SAVE_FLAGS "\n\txchg %%rax, %%rcx"
        : "+&a"(quotient), "+&d"(remainder), "+&c"(packed)
        : [b] "r"(divisor)
        : "cc");
  } else {
    asm("xchg %%rax, %%rcx\n\t" SELFHEAL_LOAD_FLAGS
        "xchg %%rax, %%rcx\n\tdiv %[b]\n\t"
        "xchg %%rax, %%rcx" SELFHEAL_SAVE_FLAGS "\n\txchg %%rax, %%rcx"
        : "+&a"(quotient), "+&d"(remainder), "+&c"(packed)
        : [b] "r"(divisor)
        : "cc");
  }
  t.guest.gpr[rax] = quotient;
  t.guest.gpr[rdx] = remainder;
  t.guest.rflags = merge_flags(t.guest.rflags, static_cast<u32>(packed));
  return &op + 1;
}

template <bool Sign, bool FromMemory>
Handler pick_multiply1(unsigned bytes) {
  return bytes == 1   ? multiply1<u8, Sign, FromMemory>
         : bytes == 2 ? multiply1<u16, Sign, FromMemory>
         : bytes == 4 ? multiply1<u32, Sign, FromMemory>
                      : multiply1<u64, Sign, FromMemory>;
}

template <bool Sign, bool FromMemory>
Handler pick_divide(unsigned bytes) {
  return bytes == 1   ? divide<u8, Sign, FromMemory>
         : bytes == 2 ? divide<u16, Sign, FromMemory>
         : bytes == 4 ? divide<u32, Sign, FromMemory>
                      : divide<u64, Sign, FromMemory>;
}

}  // namespace

Handler multiply2_handler(Form form, unsigned bytes) {
  const bool memory = form == Form::rm;
  switch (bytes) {
    case 2:
      return memory ? multiply2_memory<u16> : multiply2_register<u16>;
    case 4:
      return memory ? multiply2_memory<u32> : multiply2_register<u32>;
    case 8:
      return memory ? multiply2_memory<u64> : multiply2_register<u64>;
    default:
      return nullptr;
  }
}

Handler multiply3_handler(Form form, unsigned bytes) {
  const bool memory = form == Form::rm;
  switch (bytes) {
    case 2:
      return memory ? multiply3_memory<u16> : multiply3_register<u16>;
    case 4:
      return memory ? multiply3_memory<u32> : multiply3_register<u32>;
    case 8:
      return memory ? multiply3_memory<u64> : multiply3_register<u64>;
    default:
      return nullptr;
  }
}

Handler multiply1_handler(bool sign, Form form, unsigned bytes) {
  const bool memory = form == Form::m;
  return sign ? (memory ? pick_multiply1<true, true>(bytes) : pick_multiply1<true, false>(bytes))
              : (memory ? pick_multiply1<false, true>(bytes) : pick_multiply1<false, false>(bytes));
}

Handler divide_handler(bool sign, Form form, unsigned bytes) {
  const bool memory = form == Form::m;
  return sign ? (memory ? pick_divide<true, true>(bytes) : pick_divide<true, false>(bytes))
              : (memory ? pick_divide<false, true>(bytes) : pick_divide<false, false>(bytes));
}

}  // namespace selfheal::emulator
