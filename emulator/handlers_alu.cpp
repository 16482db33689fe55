// Integer arithmetic and logic: the operation is executed by the processor on the guest's values.
#include "emulator/atomic.h"
#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

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
