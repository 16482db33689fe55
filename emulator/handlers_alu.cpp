// Integer arithmetic and logic: the operation is executed by the processor on the guest's values.
#include "emulator/alu_operations.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

template <class O, typename T>
const Op* register_register(Thread& t, const Op& op) {
  const T r = O::template run<T>(get<T>(t, op.a), get<T>(t, op.b), t.guest.rflags);
  if constexpr (O::writes) {
    set<T>(t, op.a, r);
  }
  return &op + 1;
}

template <class O, typename T>
const Op* register_immediate(Thread& t, const Op& op) {
  const T r = O::template run<T>(get<T>(t, op.a), static_cast<T>(op.immediate), t.guest.rflags);
  if constexpr (O::writes) {
    set<T>(t, op.a, r);
  }
  return &op + 1;
}

template <class O, typename T>
const Op* register_memory(Thread& t, const Op& op) {
  T b;
  if (!load<T>(t, effective(t, op), b)) {
    return nullptr;
  }
  const T r = O::template run<T>(get<T>(t, op.a), b, t.guest.rflags);
  if constexpr (O::writes) {
    set<T>(t, op.a, r);
  }
  return &op + 1;
}

template <class O, typename T>
const Op* memory_value(Thread& t, const Op& op, T b) {
  const u64 address = effective(t, op);
  T a;
  if constexpr (O::writes) {
    if (!log_value<T>(t, address)) {
      return nullptr;
    }
    a = load_for_update<T>(t, address);
  } else if (!load<T>(t, address, a)) {
    return nullptr;
  }
  u64 flags = t.guest.rflags;
  const T r = O::template run<T>(a, b, flags);
  if constexpr (O::writes) {
    raw_store<T>(address, r);
  }
  t.guest.rflags = flags;
  return &op + 1;
}

template <class O, typename T>
const Op* memory_register(Thread& t, const Op& op) {
  return memory_value<O, T>(t, op, get<T>(t, op.b));
}

template <class O, typename T>
const Op* memory_immediate(Thread& t, const Op& op) {
  return memory_value<O, T>(t, op, static_cast<T>(op.immediate));
}

template <class O, typename T>
const Op* unary_register(Thread& t, const Op& op) {
  set<T>(t, op.a, O::template run<T>(get<T>(t, op.a), t.guest.rflags));
  return &op + 1;
}

template <class O, typename T>
const Op* unary_memory(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  if (!log_value<T>(t, address)) {
    return nullptr;
  }
  u64 flags = t.guest.rflags;
  raw_store<T>(address, O::template run<T>(load_for_update<T>(t, address), flags));
  t.guest.rflags = flags;
  return &op + 1;
}

#define SELFHEAL_WIDTHS(function, O) \
  { function<O, u8>, function<O, u16>, function<O, u32>, function<O, u64> }

using Widths = Handler[4];

template <class O>
Handler binary(Form form, unsigned width) {
  static constexpr Widths table[] = {
      SELFHEAL_WIDTHS(register_register, O), SELFHEAL_WIDTHS(register_immediate, O),
      SELFHEAL_WIDTHS(register_memory, O), SELFHEAL_WIDTHS(memory_register, O),
      SELFHEAL_WIDTHS(memory_immediate, O)};
  return form <= Form::mi ? table[static_cast<u8>(form)][width] : nullptr;
}

template <class O>
Handler unary(Form form, unsigned width) {
  static constexpr Widths table[] = {SELFHEAL_WIDTHS(unary_register, O),
                                     SELFHEAL_WIDTHS(unary_memory, O)};
  return form == Form::r ? table[0][width] : form == Form::m ? table[1][width] : nullptr;
}

}  // namespace

Handler alu_handler(Alu operation, Form form, unsigned bytes) {
  const unsigned width = static_cast<unsigned>(__builtin_ctz(bytes));
  switch (operation) {
    case Alu::add:
      return binary<Add>(form, width);
    case Alu::or_:
      return binary<Or>(form, width);
    case Alu::adc:
      return binary<Adc>(form, width);
    case Alu::sbb:
      return binary<Sbb>(form, width);
    case Alu::and_:
      return binary<And>(form, width);
    case Alu::sub:
      return binary<Sub>(form, width);
    case Alu::xor_:
      return binary<Xor>(form, width);
    case Alu::cmp:
      return binary<Cmp>(form, width);
    case Alu::test:
      return binary<Test>(form, width);
    case Alu::inc:
      return unary<Inc>(form, width);
    case Alu::dec:
      return unary<Dec>(form, width);
    case Alu::neg:
      return unary<Neg>(form, width);
    case Alu::not_:
      return unary<Not>(form, width);
  }
  return nullptr;
}

}  // namespace selfheal::emulator
