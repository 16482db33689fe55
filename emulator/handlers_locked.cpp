// Arithmetic and logic on memory with a lock prefix.
#include <type_traits>

#include "emulator/alu_operations.h"
#include "emulator/atomic.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

// Which inverse takes back an atomic operation: an addition commutes with what other threads add;
// for the rest it is the changed bits that are known.
template <class O>
constexpr bool is_sum =
    std::is_same_v<O, Add> || std::is_same_v<O, Sub> || std::is_same_v<O, Adc> ||
    std::is_same_v<O, Sbb> || std::is_same_v<O, Inc> || std::is_same_v<O, Dec>;

template <class O>
constexpr Action inverse = is_sum<O>                ? Action::atomic_add
                           : std::is_same_v<O, Or>  ? Action::atomic_set
                           : std::is_same_v<O, And> ? Action::atomic_clear
                                                    : Action::atomic_flip;

// A locked read-modify-write, made as a compare-exchange loop so that both values are known.
template <class O, typename T, class Compute>
const Op* locked(Thread& t, const Op& op, Compute compute) {
  const u64 address = effective(t, op);
  if (!atomic_target(t, address)) {
    return nullptr;
  }
  T before = load_for_update<T>(t, address);
  T after;
  u64 flags;
  do {
    flags = t.guest.rflags;
    after = compute(before, flags);
  } while (!swap_if<T>(address, before, after));
  if (!own_frame(t, address, sizeof(T))) {
    const T change = static_cast<T>(is_sum<O> ? after - before : after ^ before);
    log_atomic(t, inverse<O>, address, change, sizeof(T));
  }
  t.guest.rflags = flags;
  return &op + 1;
}

template <class O, typename T>
const Op* locked_register(Thread& t, const Op& op) {
  const T b = get<T>(t, op.b);
  return locked<O, T>(t, op, [b](T a, u64& flags) { return O::template run<T>(a, b, flags); });
}

template <class O, typename T>
const Op* locked_immediate(Thread& t, const Op& op) {
  const T b = static_cast<T>(op.immediate);
  return locked<O, T>(t, op, [b](T a, u64& flags) { return O::template run<T>(a, b, flags); });
}

template <class O, typename T>
const Op* locked_unary(Thread& t, const Op& op) {
  return locked<O, T>(t, op, [](T a, u64& flags) { return O::template run<T>(a, flags); });
}

#define SELFHEAL_WIDTHS(function, O) \
  { function<O, u8>, function<O, u16>, function<O, u32>, function<O, u64> }

using Widths = Handler[4];

template <class O>
Handler locked_binary(Form form, unsigned width) {
  static constexpr Widths table[] = {SELFHEAL_WIDTHS(locked_register, O),
                                     SELFHEAL_WIDTHS(locked_immediate, O)};
  return form == Form::mr ? table[0][width] : form == Form::mi ? table[1][width] : nullptr;
}

template <class O>
Handler locked_single(Form form, unsigned width) {
  static constexpr Widths table = SELFHEAL_WIDTHS(locked_unary, O);
  return form == Form::m ? table[width] : nullptr;
}

}  // namespace

Handler locked_alu_handler(Alu operation, Form form, unsigned bytes) {
  const unsigned width = static_cast<unsigned>(__builtin_ctz(bytes));
  switch (operation) {
    case Alu::add:
      return locked_binary<Add>(form, width);
    case Alu::or_:
      return locked_binary<Or>(form, width);
    case Alu::adc:
      return locked_binary<Adc>(form, width);
    case Alu::sbb:
      return locked_binary<Sbb>(form, width);
    case Alu::and_:
      return locked_binary<And>(form, width);
    case Alu::sub:
      return locked_binary<Sub>(form, width);
    case Alu::xor_:
      return locked_binary<Xor>(form, width);
    case Alu::inc:
      return locked_single<Inc>(form, width);
    case Alu::dec:
      return locked_single<Dec>(form, width);
    case Alu::neg:
      return locked_single<Neg>(form, width);
    case Alu::not_:
      return locked_single<Not>(form, width);
    default:
      return nullptr;  // lock on cmp and test is #UD
  }
}

}  // namespace selfheal::emulator
