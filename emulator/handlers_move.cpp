// Moving values: mov, extensions, lea, conditional moves, bit tests. The stack: handlers_stack.cpp.
#include <type_traits>

#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

template <typename T>
const Op* mov_rr(Thread& t, const Op& op) {
  set<T>(t, op.a, get<T>(t, op.b));
  return &op + 1;
}

template <typename T>
const Op* mov_ri(Thread& t, const Op& op) {
  set<T>(t, op.a, static_cast<T>(op.immediate));
  return &op + 1;
}

template <typename T>
const Op* mov_rm(Thread& t, const Op& op) {
  T value;
  if (!load<T>(t, effective(t, op), value)) {
    return nullptr;
  }
  set<T>(t, op.a, value);
  return &op + 1;
}

const Op* load_canary(Thread& t, const Op& op) {
  note_canary_load(t, op);
  return mov_rm<u64>(t, op);
}

template <typename T>
const Op* mov_mr(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  const T value = get<T>(t, op.b);
  if (!store<T>(t, address, value)) {
    return nullptr;
  }
  if constexpr (sizeof(T) == 8) {
    if (value == machine_of(t).calls.canary) [[unlikely]] {
      note_canary(t, op, address);
    }
  }
  return &op + 1;
}

template <typename T>
const Op* mov_mi(Thread& t, const Op& op) {
  return store<T>(t, effective(t, op), static_cast<T>(op.immediate)) ? &op + 1 : nullptr;
}

template <typename To, typename From>
const Op* extend_register(Thread& t, const Op& op) {
  set<To>(t, op.a, static_cast<To>(static_cast<From>(get<std::make_unsigned_t<From>>(t, op.b))));
  return &op + 1;
}

template <typename To, typename From>
const Op* extend_memory(Thread& t, const Op& op) {
  std::make_unsigned_t<From> value;
  if (!load(t, effective(t, op), value)) {
    return nullptr;
  }
  set<To>(t, op.a, static_cast<To>(static_cast<From>(value)));
  return &op + 1;
}

template <typename T>
const Op* lea(Thread& t, const Op& op) {
  set<T>(t, op.a, static_cast<T>(effective_offset(t, op)));
  return &op + 1;
}

template <unsigned Code, typename T>
const Op* cmov_register(Thread& t, const Op& op) {
  const T value = get<T>(t, condition<Code>(t.guest.rflags) ? op.b : op.a);
  set<T>(t, op.a, value);  // also when false: the upper half is cleared either way
  return &op + 1;
}

template <unsigned Code, typename T>
const Op* cmov_memory(Thread& t, const Op& op) {
  T value;  // read also when false
  if (!load<T>(t, effective(t, op), value)) {
    return nullptr;
  }
  set<T>(t, op.a, condition<Code>(t.guest.rflags) ? value : get<T>(t, op.a));
  return &op + 1;
}

template <unsigned Code>
const Op* set_register(Thread& t, const Op& op) {
  set<u8>(t, op.a, condition<Code>(t.guest.rflags) ? 1 : 0);
  return &op + 1;
}

template <unsigned Code>
const Op* set_memory(Thread& t, const Op& op) {
  const u8 value = condition<Code>(t.guest.rflags) ? 1 : 0;
  return store<u8>(t, effective(t, op), value) ? &op + 1 : nullptr;
}

template <unsigned Code>
Handler pick_cmov(bool from_memory, unsigned bytes) {
  switch (bytes) {
    case 2:
      return from_memory ? cmov_memory<Code, u16> : cmov_register<Code, u16>;
    case 4:
      return from_memory ? cmov_memory<Code, u32> : cmov_register<Code, u32>;
    case 8:
      return from_memory ? cmov_memory<Code, u64> : cmov_register<Code, u64>;
    default:
      return nullptr;
  }
}

const Op* bswap32(Thread& t, const Op& op) {
  set<u32>(t, op.a, __builtin_bswap32(get<u32>(t, op.a)));
  return &op + 1;
}

const Op* bswap64(Thread& t, const Op& op) {
  set<u64>(t, op.a, __builtin_bswap64(get<u64>(t, op.a)));
  return &op + 1;
}

template <typename T>
const Op* xchg_registers(Thread& t, const Op& op) {
  const T a = get<T>(t, op.a);
  const T b = get<T>(t, op.b);
  set<T>(t, op.a, b);
  set<T>(t, op.b, a);
  return &op + 1;
}

// cbw cwde cdqe: the accumulator's lower half, sign-extended over the whole.
template <typename To, typename From>
const Op* convert(Thread& t, const Op& op) {
  set<To>(t, rax * 8, static_cast<To>(static_cast<From>(get<std::make_unsigned_t<From>>(t, 0))));
  return &op + 1;
}

// cwd cdq cqo: rdx becomes the accumulator's sign.
template <typename T>
const Op* convert_double(Thread& t, const Op& op) {
  const bool negative = (get<T>(t, rax * 8) >> (sizeof(T) * 8 - 1)) != 0;
  set<T>(t, rdx * 8, negative ? static_cast<T>(~T{0}) : T{0});
  return &op + 1;
}

template <typename T>
const Op* bit_test_register(Thread& t, const Op& op) {
  u32 ax = pack_flags(t.guest.rflags);
  asm(SELFHEAL_LOAD_FLAGS "bt %[b], %[a]" SELFHEAL_SAVE_FLAGS
      : "+a"(ax)
      : [a] "r"(get<T>(t, op.a)), [b] "r"(get<T>(t, op.b))
      : "cc");
  t.guest.rflags = merge_flags(t.guest.rflags, ax);
  return &op + 1;
}

template <typename T>
const Op* bit_test_immediate(Thread& t, const Op& op) {
  u32 ax = pack_flags(t.guest.rflags);
  asm(SELFHEAL_LOAD_FLAGS "bt %[b], %[a]" SELFHEAL_SAVE_FLAGS
      : "+a"(ax)
      : [a] "r"(get<T>(t, op.a)), [b] "r"(static_cast<T>(op.immediate))
      : "cc");
  t.guest.rflags = merge_flags(t.guest.rflags, ax);
  return &op + 1;
}

#define SELFHEAL_SIZES(function) \
  { function<u8>, function<u16>, function<u32>, function<u64> }

unsigned width_of(unsigned bytes) {
  return static_cast<unsigned>(__builtin_ctz(bytes));
}

#define SELFHEAL_CONDITIONS(X) \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

}  // namespace

Handler mov_handler(Form form, unsigned bytes) {
  static constexpr Handler table[][4] = {SELFHEAL_SIZES(mov_rr), SELFHEAL_SIZES(mov_ri),
                                         SELFHEAL_SIZES(mov_rm), SELFHEAL_SIZES(mov_mr),
                                         SELFHEAL_SIZES(mov_mi)};
  return form <= Form::mi ? table[static_cast<u8>(form)][width_of(bytes)] : nullptr;
}

Handler load_canary_handler() {
  return load_canary;
}

Handler extend_handler(bool sign, bool from_memory, unsigned to, unsigned from) {
  const auto pick = [&](Handler sr, Handler sm, Handler zr, Handler zm) {
    return sign ? (from_memory ? sm : sr) : (from_memory ? zm : zr);
  };
#define SELFHEAL_EXTEND(TO, FROM)                                      \
  pick(extend_register<u##TO, i##FROM>, extend_memory<u##TO, i##FROM>, \
       extend_register<u##TO, u##FROM>, extend_memory<u##TO, u##FROM>)
  switch (to * 10 + from) {
    case 21:
      return SELFHEAL_EXTEND(16, 8);
    case 22:
      return SELFHEAL_EXTEND(16, 16);
    case 41:
      return SELFHEAL_EXTEND(32, 8);
    case 42:
      return SELFHEAL_EXTEND(32, 16);
    case 44:
      return SELFHEAL_EXTEND(32, 32);
    case 81:
      return SELFHEAL_EXTEND(64, 8);
    case 82:
      return SELFHEAL_EXTEND(64, 16);
    case 84:
      return SELFHEAL_EXTEND(64, 32);
    default:
      return nullptr;
  }
}

Handler lea_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(lea);
  return table[width_of(bytes)];
}

Handler cmov_handler(unsigned code, bool from_memory, unsigned bytes) {
  switch (code) {
#define SELFHEAL_CASE(N) \
  case N:                \
    return pick_cmov<N>(from_memory, bytes);
    SELFHEAL_CONDITIONS(SELFHEAL_CASE)
#undef SELFHEAL_CASE
    default:
      return nullptr;
  }
}

Handler set_handler(unsigned code, bool to_memory) {
  switch (code) {
#define SELFHEAL_CASE(N) \
  case N:                \
    return to_memory ? set_memory<N> : set_register<N>;
    SELFHEAL_CONDITIONS(SELFHEAL_CASE)
#undef SELFHEAL_CASE
    default:
      return nullptr;
  }
}

Handler bswap_handler(unsigned bytes) {
  return bytes == 4 ? bswap32 : bytes == 8 ? bswap64 : nullptr;
}

Handler xchg_registers_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(xchg_registers);
  return table[width_of(bytes)];
}

Handler convert_handler(unsigned bytes) {
  return bytes == 2   ? convert<u16, i8>
         : bytes == 4 ? convert<u32, i16>
         : bytes == 8 ? convert<u64, i32>
                      : nullptr;
}

Handler convert_double_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(convert_double);
  return bytes == 1 ? nullptr : table[width_of(bytes)];
}

Handler bit_test_handler(Form form, unsigned bytes) {
  if (bytes != 4 && bytes != 8 && bytes != 2) {
    return nullptr;
  }
  const bool immediate = form == Form::ri;
  if (!immediate && form != Form::rr) {
    return nullptr;
  }
  return bytes == 2   ? (immediate ? bit_test_immediate<u16> : bit_test_register<u16>)
         : bytes == 4 ? (immediate ? bit_test_immediate<u32> : bit_test_register<u32>)
                      : (immediate ? bit_test_immediate<u64> : bit_test_register<u64>);
}

const Op* do_nop(Thread&, const Op& op) {
  return &op + 1;
}

const Op* do_set_flag(Thread& t, const Op& op) {
  t.guest.rflags |= op.immediate;
  return &op + 1;
}

const Op* do_clear_flag(Thread& t, const Op& op) {
  t.guest.rflags &= ~op.immediate;
  return &op + 1;
}

const Op* do_complement_carry(Thread& t, const Op& op) {
  t.guest.rflags ^= flag_cf;
  return &op + 1;
}

const Op* do_unsupported(Thread& t, const Op& op) {
  return stop_here(t, Stop::unsupported, pointer_to<const char>(op.immediate));
}

const Op* do_undefined(Thread& t, const Op&) {
  return stop_with_fault(t, FaultKind::illegal_instruction, Access::none, 0);
}

}  // namespace selfheal::emulator
