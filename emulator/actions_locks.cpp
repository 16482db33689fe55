// Locks: back by the functions of the application's own libpthread.
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>

#include "emulator/actions_internal.h"
#include "emulator/guard.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

int call(u64 function, u64 lock) {
  return function != 0 ? static_cast<int>(call_at(function, lock)) : ENOSYS;
}

// The guest's writes to what a lock guards are taken back under that lock again: the holder of the
// moment gets a bounded time to let go. No call that may block: a rollback must end.
bool relock(u64 trylock, u64 lock, AddressSet& unheld) {
  Patience patience;
  int result;
  do {
    result = call(trylock, lock);
    if (result == 0 || result == EOWNERDEAD) {
      return true;
    }
  } while (result == EBUSY && patience.lasts());
  unheld.add(lock);
  return false;
}

bool unlock(u64 function, u64 lock, AddressSet& unheld) {
  if (unheld.contains(lock)) {
    unheld.remove(lock);  // counted when relocking it failed
    return true;
  }
  return call(function, lock) == 0;
}

// A robust mutex that the region got because its owner had died: the next one is to be told so,
// too. Unlocking it as it is would make it unusable for ever; so it is made consistent, unlocked,
// and its word marked again as the kernel marks it when an owner dies (futex(2), FUTEX_OWNER_DIED;
// glibc's pthread_mutex_lock.c for __nusers).
bool unlock_abandoned(u64 lock) {
  auto& mutex = pointer_to<pthread_mutex_t>(lock)->__data;
  call(native_functions.mutex_consistent, lock);
  ++mutex.__nusers;
  if (call(native_functions.mutex_unlock, lock) != 0) {
    return false;
  }
  int free = 0;
  return __atomic_compare_exchange_n(&mutex.__lock, &free, static_cast<int>(FUTEX_OWNER_DIED),
                                     false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

}  // namespace

bool undo_lock(const ActionRecord& record, AddressSet& unheld) {
  const NativeFunctions& native = native_functions;
  const u64 lock = record.a;
  switch (record.action()) {
    case Action::unlock_mutex:
      return record.b == EOWNERDEAD ? unlock_abandoned(lock)
                                    : unlock(native.mutex_unlock, lock, unheld);
    case Action::relock_mutex:
      return relock(native.mutex_trylock, lock, unheld);
    case Action::unlock_rwlock:
      return unlock(native.rwlock_unlock, lock, unheld);
    case Action::relock_rwlock:
      return relock(record.b == 1 ? native.rwlock_tryrdlock : native.rwlock_trywrlock, lock,
                    unheld);
    case Action::unlock_spin:
      return unlock(native.spin_unlock, lock, unheld);
    case Action::relock_spin:
      return relock(native.spin_trylock, lock, unheld);
    case Action::post_semaphore:
      return call(native.sem_post, lock) == 0;
    case Action::take_semaphore:
      return call(native.sem_trywait, lock) == 0;
    case Action::abort_guard:
      if (native.guard_abort != 0) {
        call_at(native.guard_abort, lock);
      }
      return native.guard_abort != 0;
    default:
      return false;
  }
}

}  // namespace selfheal::emulator
