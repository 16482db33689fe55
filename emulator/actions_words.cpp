// Atomically changed words: back by the inverse operation, in one atomic step.
#include <limits.h>
#include <linux/futex.h>

#include "emulator/actions_internal.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

template <typename T>
bool exchange_back(u64 address, u64 old_value, u64 new_value) {
  T expected = static_cast<T>(new_value);
  return __atomic_compare_exchange_n(pointer_to<T>(address), &expected, static_cast<T>(old_value),
                                     false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

// glibc's low-level lock (lowlevellock.h): 0 free, 1 taken, 2 taken with waiters. A waiter moves
// 1 to 2 while we hold it.
bool exchange_back_32(u64 address, u64 old_value, u64 new_value) {
  return exchange_back<u32>(address, old_value, new_value) ||
         (old_value == 0 && new_value == 1 && exchange_back<u32>(address, 0, 2));
}

bool exchange_back_128(u64 address, const u64 (&old_value)[2], u64 new_low, u64 new_high) {
  bool equal;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(equal), "+m"(*pointer_to<u64[2]>(address)), "+a"(new_low), "+d"(new_high)
               : "b"(old_value[0]), "c"(old_value[1])
               : "memory");
  return equal;
}

bool exchange_once(const ActionRecord& record) {
  switch (record.action()) {
    case Action::atomic_exchange_8:
      return exchange_back<u8>(record.a, record.c, record.b);
    case Action::atomic_exchange_16:
      return exchange_back<u16>(record.a, record.c, record.b);
    case Action::atomic_exchange_32:
      return exchange_back_32(record.a, record.c, record.b);
    case Action::atomic_exchange_64:
      return exchange_back<u64>(record.a, record.c, record.b);
    default: {
      const auto& operands = *pointer_to<const ActionRecord>(record.older);
      return exchange_back_128(record.a, {record.b, record.c}, operands.b, operands.c);
    }
  }
}

// Was it a lock, or may it have been, that the region gave back? What was written before has to be
// taken back with the lock held again, so its holder of the moment is waited for.
bool released(const ActionRecord& record) {
  return record.action() != Action::atomic_exchange_128 && record.b == 0 && record.c != 0;
}

bool exchange(const ActionRecord& record, AddressSet& unheld) {
  // An older exchange of a word that somebody else has taken would hand that somebody's lock out.
  if (unheld.contains(record.a)) {
    return false;
  }
  Patience patience;
  do {
    if (exchange_once(record)) {
      return true;
    }
  } while (released(record) && patience.lasts());
  unheld.add(record.a);
  return false;
}

template <typename T>
void modify_back(Action action, u64 address, u64 operand) {
  T* word = pointer_to<T>(address);
  const T value = static_cast<T>(operand);
  switch (action) {
    case Action::atomic_add:
      __atomic_fetch_sub(word, value, __ATOMIC_SEQ_CST);
      break;
    case Action::atomic_set:
      __atomic_fetch_and(word, static_cast<T>(~value), __ATOMIC_SEQ_CST);
      break;
    case Action::atomic_clear:
      __atomic_fetch_or(word, value, __ATOMIC_SEQ_CST);
      break;
    default:
      __atomic_fetch_xor(word, value, __ATOMIC_SEQ_CST);
  }
}

bool modify(const ActionRecord& record, const AddressSet& unheld) {
  if (unheld.contains(record.a)) {
    return false;
  }
  switch (record.c) {
    case 1:
      modify_back<u8>(record.action(), record.a, record.b);
      return true;
    case 2:
      modify_back<u16>(record.action(), record.a, record.b);
      return true;
    case 4:
      modify_back<u32>(record.action(), record.a, record.b);
      return true;
    case 8:
      modify_back<u64>(record.action(), record.a, record.b);
      return true;
    default:
      return false;
  }
}

bool may_be_futex(const ActionRecord& record) {
  return record.action() == Action::atomic_exchange_32 ||
         (record.action() <= Action::atomic_flip && record.c == 4);
}

void wake_all(u64 address) {
  if (may_call(SYS_futex)) {
    raw_syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, INT_MAX);
    raw_syscall(SYS_futex, address, FUTEX_WAKE, INT_MAX);
  }
}

}  // namespace

bool undo_word(const ActionRecord& record, RollbackState& state) {
  const bool done = record.action() <= Action::atomic_flip ? modify(record, state.unheld)
                                                           : exchange(record, state.unheld);
  if (done && may_be_futex(record) && !state.to_wake.add(record.a)) {
    wake_all(record.a);
  }
  return done;
}

// Somebody may sleep until a word is no longer what the region had made it (an initialization that
// the region began: pthread_once). Waking too many is always allowed.
void wake_waiters(const RollbackState& state) {
  for (unsigned i = 0; i < state.to_wake.size(); ++i) {
    wake_all(state.to_wake[i]);
  }
}

bool log_exchange_128(UndoLog& log, u64 address, const u64 (&old_value)[2],
                      const u64 (&new_value)[2]) {
  return log.room() && log.action(Action::atomic_new_128, address, new_value[0], new_value[1]) &&
         log.action(Action::atomic_exchange_128, address, old_value[0], old_value[1]);
}

}  // namespace selfheal::emulator
