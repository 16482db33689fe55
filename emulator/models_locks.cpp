// Locks, semaphores and conditions run natively: other threads wait on them.
//
//   taken inside the region      rollback: unlock
//   released inside the region   rollback: take it again, then put back what was written before the
//                                release, then (if the region had taken it) unlock: what the lock
//                                guards is restored under the lock
//
// So nothing is cancelled when a lock is taken and released inside: both records stay, and their
// order does it. Taking again is tried for a bounded time (actions.cpp).
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "emulator/models_internal.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

constexpr u64 reading = 1;
constexpr u64 writing = 2;

// Calls the guest's function on an object of `size` bytes; `log` gets `compensation` when it says
// 0.
EffectResult operate(Thread& thread, u64 size, Action compensation, u64 operand = 0) {
  const u64 object = argument(thread, 0);
  if (!accessible(thread, object, size)) {
    return EffectResult::interpret;
  }
  if (!prepare(thread)) {
    return EffectResult::log_full;
  }
  thread.log.run_deferred();
  u64 result = 0;
  {
    const NativeScope native(&thread);
    if (thread.signal_waits) {  // and its handler may be what this would wait for
      return EffectResult::interrupted;
    }
    // It may be cancelled, and then unwinds the stack.
    result = call_native_on_guest_stack(thread);
  }
  const u32 error = static_cast<u32>(result);
  if (error == 0 || error == EOWNERDEAD) {
    // Cannot be full: prepare() asked.
    static_cast<void>(thread.log.action(compensation, object, error != 0 ? error : operand));
  }
  return returns_int(thread, result);
}

}  // namespace

EffectResult model_mutex_lock(Thread& thread) {
  return operate(thread, sizeof(pthread_mutex_t), Action::unlock_mutex);
}

EffectResult model_mutex_unlock(Thread& thread) {
  return operate(thread, sizeof(pthread_mutex_t), Action::relock_mutex);
}

EffectResult model_rwlock_read(Thread& thread) {
  return operate(thread, sizeof(pthread_rwlock_t), Action::unlock_rwlock, reading);
}

EffectResult model_rwlock_write(Thread& thread) {
  return operate(thread, sizeof(pthread_rwlock_t), Action::unlock_rwlock, writing);
}

EffectResult model_rwlock_unlock(Thread& thread) {
  const u64 lock = argument(thread, 0);
  if (!accessible(thread, lock, sizeof(pthread_rwlock_t))) {
    return EffectResult::interpret;
  }
  u64 how = 0;
  if (!thread.log.find(Action::unlock_rwlock, lock, &how)) {
    // Taken before the region. A rwlock that has a writer and is being unlocked is the writer's.
    const int writer = pointer_to<const pthread_rwlock_t>(lock)->__data.__cur_writer;
    how = writer != 0 ? writing : reading;
  }
  return operate(thread, sizeof(pthread_rwlock_t), Action::relock_rwlock, how);
}

EffectResult model_spin_lock(Thread& thread) {
  return operate(thread, sizeof(pthread_spinlock_t), Action::unlock_spin);
}

EffectResult model_spin_unlock(Thread& thread) {
  return operate(thread, sizeof(pthread_spinlock_t), Action::relock_spin);
}

EffectResult model_semaphore_wait(Thread& thread) {
  return operate(thread, sizeof(sem_t), Action::post_semaphore);
}

EffectResult model_semaphore_post(Thread& thread) {
  return operate(thread, sizeof(sem_t), Action::take_semaphore);
}

// The first thread initializes a static local (Itanium C++ ABI, 3.3.3); the others wait for it.
// What ends that, release or abort, is interpreted: its exchange is undone like any other.
EffectResult model_guard_acquire(Thread& thread) {
  const u64 guard = argument(thread, 0);
  if (!accessible(thread, guard, sizeof(u64))) {
    return EffectResult::interpret;
  }
  if (!prepare(thread)) {
    return EffectResult::log_full;
  }
  thread.log.run_deferred();
  const NativeScope native(&thread);
  const u64 mine = call_native(thread);
  if (static_cast<u32>(mine) != 0) {
    static_cast<void>(thread.log.action(Action::abort_guard, guard));
  }
  return returns_int(thread, mine);
}

// Gives up a mutex in between, so others have seen what the region wrote: that cannot be undone. It
// may be cancelled or run handlers for long, hence the guest's own stack.
EffectResult model_waits(Thread& thread) {
  if (!accessible(thread, argument(thread, 0), 1)) {
    return EffectResult::interpret;
  }
  thread.log.run_deferred();
  thread.log.note_irrevocable(SYS_futex);
  const NativeScope native(&thread);
  if (thread.signal_waits) {
    return EffectResult::interrupted;
  }
  return returns_int(thread, call_native_on_guest_stack(thread));
}

// Waking too many is always allowed (POSIX, pthread_cond_wait: spurious wakeups).
EffectResult model_wakes(Thread& thread) {
  if (!accessible(thread, argument(thread, 0), sizeof(pthread_cond_t))) {
    return EffectResult::interpret;
  }
  const NativeScope native(&thread);
  return returns_int(thread, call_native(thread));
}

}  // namespace selfheal::emulator
