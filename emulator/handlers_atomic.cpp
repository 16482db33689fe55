// Exchanges and single-bit changes in memory. All are made with the locked instruction, also where
// the guest's has no lock prefix: that is only stronger, and keeps one way of undoing.
#include "emulator/atomic.h"
#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

template <typename T>
constexpr Action exchange_action() {
  return sizeof(T) == 1   ? Action::atomic_exchange_8
         : sizeof(T) == 2 ? Action::atomic_exchange_16
         : sizeof(T) == 4 ? Action::atomic_exchange_32
                          : Action::atomic_exchange_64;
}

template <typename T>
void keep_exchange(Thread& t, u64 address, T after, T before) {
  if (!own_frame(t, address, sizeof(T))) {
    log_atomic(t, exchange_action<T>(), address, after, before);
  }
}

template <typename T>
u64 flags_of_compare(T a, T b, u64 flags) {
  u32 ax;
  asm("cmp %[b], %[a]" SELFHEAL_SAVE_FLAGS : "=&a"(ax) : [a] "r"(a), [b] "r"(b) : "cc");
  return merge_flags(flags, ax);
}

template <typename T>
u64 flags_of_add(T a, T b, u64 flags) {
  u32 ax;
  asm("add %[b], %[a]" SELFHEAL_SAVE_FLAGS : [a] "+r"(a), "=&a"(ax) : [b] "r"(b) : "cc");
  return merge_flags(flags, ax);
}

template <typename T>
T exchange_word(u64 address, T value) {
  asm volatile("xchg %[value], %[word]"
               : [value] "+r"(value), [word] "+m"(*pointer_to<T>(address))
               :
               : "memory");
  return value;
}

template <typename T>
const Op* exchange(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  if (!atomic_target(t, address)) {
    return nullptr;
  }
  const T after = get<T>(t, op.b);
  const T before = exchange_word<T>(address, after);
  keep_exchange<T>(t, address, after, before);
  set<T>(t, op.b, before);
  return &op + 1;
}

template <typename T>
const Op* exchange_add(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  if (!atomic_target(t, address)) {
    return nullptr;
  }
  const T added = get<T>(t, op.b);
  T value = added;
  asm volatile("lock xadd %[value], %[word]"
               : [value] "+r"(value), [word] "+m"(*pointer_to<T>(address))
               :
               : "memory", "cc");
  if (!own_frame(t, address, sizeof(T))) {
    log_atomic(t, Action::atomic_add, address, added, sizeof(T));
  }
  t.guest.rflags = flags_of_add<T>(value, added, t.guest.rflags);
  set<T>(t, op.b, value);
  return &op + 1;
}

template <typename T>
const Op* compare_exchange(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  if (!atomic_target(t, address)) {
    return nullptr;
  }
  const T expected = get<T>(t, rax * 8);
  const T desired = get<T>(t, op.b);
  T seen = expected;
  if (swap_if<T>(address, seen, desired)) {
    keep_exchange<T>(t, address, desired, expected);
  } else {
    set<T>(t, rax * 8, seen);
  }
  t.guest.rflags = flags_of_compare<T>(expected, seen, t.guest.rflags);
  return &op + 1;
}

bool swap_pair(u64 address, u32& low, u32& high, u32 new_low, u32 new_high) {
  bool done;
  asm volatile("lock cmpxchg8b %[word]"
               : "+a"(low), "+d"(high), [word] "+m"(*pointer_to<u64>(address)), "=@ccz"(done)
               : "b"(new_low), "c"(new_high)
               : "memory");
  return done;
}

bool swap_pair(u64 address, u64& low, u64& high, u64 new_low, u64 new_high) {
  bool done;
  asm volatile("lock cmpxchg16b %[word]"
               : "+a"(low), "+d"(high), [word] "+m"(*pointer_to<unsigned __int128>(address)),
                 "=@ccz"(done)
               : "b"(new_low), "c"(new_high)
               : "memory");
  return done;
}

void keep_pair(Thread& t, u64 address, u32 low, u32 high, u32 new_low, u32 new_high) {
  keep_exchange<u64>(t, address, new_low | static_cast<u64>(new_high) << 32,
                     low | static_cast<u64>(high) << 32);
}

void keep_pair(Thread& t, u64 address, u64 low, u64 high, u64 new_low, u64 new_high) {
  if (!own_frame(t, address, 16)) {
    const u64 before[2] = {low, high};
    const u64 after[2] = {new_low, new_high};
    static_cast<void>(log_exchange_128(t.log, address, before, after));
  }
}

template <typename T>
const Op* compare_exchange_pair(Thread& t, const Op& op) {
  const u64 address = effective(t, op);
  // A misaligned pair of quadwords is #GP, wherever it lies.
  const bool misaligned = sizeof(T) == 8 && (address & 15) != 0;
  if (!misaligned && !atomic_target(t, address)) {
    return nullptr;
  }
  const T low = get<T>(t, rax * 8);
  const T high = get<T>(t, rdx * 8);
  const T new_low = get<T>(t, rbx * 8);
  const T new_high = get<T>(t, rcx * 8);
  T seen_low = low;
  T seen_high = high;
  if (swap_pair(address, seen_low, seen_high, new_low, new_high)) {
    keep_pair(t, address, low, high, new_low, new_high);
    t.guest.rflags |= flag_zf;
  } else {
    t.guest.rflags &= ~flag_zf;
    set<T>(t, rax * 8, seen_low);
    set<T>(t, rdx * 8, seen_high);
  }
  return &op + 1;
}

template <BitChange Change, typename T>
const Op* change_bit(Thread& t, const Op& op, u64 address, u64 bit) {
  if (!atomic_target(t, address)) {
    return nullptr;
  }
  const T mask = static_cast<T>(T{1} << bit);
  T before = load_for_update<T>(t, address);
  T after;
  do {
    after = Change == BitChange::set     ? static_cast<T>(before | mask)
            : Change == BitChange::reset ? static_cast<T>(before & ~mask)
                                         : static_cast<T>(before ^ mask);
  } while (!swap_if<T>(address, before, after));
  const T changed = static_cast<T>(before ^ after);
  if (changed != 0 && !own_frame(t, address, sizeof(T))) {
    log_atomic(t,
               Change == BitChange::set     ? Action::atomic_set
               : Change == BitChange::reset ? Action::atomic_clear
                                            : Action::atomic_flip,
               address, changed, sizeof(T));
  }
  u32 ax = pack_flags(t.guest.rflags);
  asm(SELFHEAL_LOAD_FLAGS "bt %[bit], %[word]" SELFHEAL_SAVE_FLAGS
      : "+a"(ax)
      : [word] "r"(before), [bit] "r"(static_cast<T>(bit))
      : "cc");
  t.guest.rflags = merge_flags(t.guest.rflags, ax);
  return &op + 1;
}

// The register form addresses a bit string: the word that holds the bit may be far from the
// operand's address (SDM vol. 1, 3.1.1.9).
template <BitChange Change, typename T>
const Op* bit_in_string(Thread& t, const Op& op) {
  constexpr unsigned bits = sizeof(T) * 8;
  const i64 offset = static_cast<std::make_signed_t<T>>(get<T>(t, op.b));
  const i64 word = offset >> __builtin_ctz(bits);
  const u64 near = effective_offset(t, op);
  const u64 segment = effective(t, op) - near;
  const u64 far = near + static_cast<u64>(word * i64{sizeof(T)});
  return change_bit<Change, T>(t, op, segment + (op.address32 ? static_cast<u32>(far) : far),
                               static_cast<u64>(offset) & (bits - 1));
}

template <BitChange Change, typename T>
const Op* bit_immediate(Thread& t, const Op& op) {
  return change_bit<Change, T>(t, op, effective(t, op), op.immediate & (sizeof(T) * 8 - 1));
}

template <BitChange Change>
Handler pick_bit(Form form, unsigned bytes) {
  const bool string = form == Form::mr;
  if (!string && form != Form::mi) {
    return nullptr;
  }
  switch (bytes) {
    case 2:
      return string ? bit_in_string<Change, u16> : bit_immediate<Change, u16>;
    case 4:
      return string ? bit_in_string<Change, u32> : bit_immediate<Change, u32>;
    case 8:
      return string ? bit_in_string<Change, u64> : bit_immediate<Change, u64>;
    default:
      return nullptr;
  }
}

#define SELFHEAL_SIZES(function) \
  { function<u8>, function<u16>, function<u32>, function<u64> }

}  // namespace

template <typename T>
bool store_atomically(Thread& t, u64 address, T value) {
  if (!atomic_target(t, address)) {
    return false;
  }
  keep_exchange<T>(t, address, value, exchange_word<T>(address, value));
  return true;
}

template bool store_atomically(Thread& t, u64 address, u8 value);
template bool store_atomically(Thread& t, u64 address, u16 value);
template bool store_atomically(Thread& t, u64 address, u32 value);
template bool store_atomically(Thread& t, u64 address, u64 value);

Handler exchange_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(exchange);
  return table[__builtin_ctz(bytes)];
}

Handler exchange_add_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(exchange_add);
  return table[__builtin_ctz(bytes)];
}

Handler compare_exchange_handler(unsigned bytes) {
  static constexpr Handler table[] = SELFHEAL_SIZES(compare_exchange);
  return table[__builtin_ctz(bytes)];
}

Handler compare_exchange_pair_handler(unsigned bytes) {
  return bytes == 4 ? compare_exchange_pair<u32> : compare_exchange_pair<u64>;
}

Handler locked_bit_handler(BitChange change, Form form, unsigned bytes) {
  switch (change) {
    case BitChange::set:
      return pick_bit<BitChange::set>(form, bytes);
    case BitChange::reset:
      return pick_bit<BitChange::reset>(form, bytes);
    case BitChange::complement:
      return pick_bit<BitChange::complement>(form, bytes);
  }
  return nullptr;
}

}  // namespace selfheal::emulator
