#include "emulator/actions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>

#include "emulator/guard.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

constinit NativeFunctions native_functions{};

namespace {

using MayCall = bool (*)(long);
constinit MayCall may_call_hook = nullptr;

bool succeeds(long number, u64 a, u64 b = 0, u64 c = 0, u64 d = 0) {
  return may_call(number) && !syscall_failed(raw_syscall(number, a, b, c, d));
}

template <typename T>
bool exchange_back(u64 address, u64 old_value, u64 new_value) {
  T expected = static_cast<T>(new_value);
  return __atomic_compare_exchange_n(pointer_to<T>(address), &expected, static_cast<T>(old_value),
                                     false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void wake_one(u64 address) {
  if (may_call(SYS_futex)) {
    raw_syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, 1);
  }
}

// glibc's low-level lock (lowlevellock.h): 0 free, 1 taken, 2 taken with waiters. A waiter moves
// 1 to 2 while we hold it, and whoever gives back a 2 has to wake somebody.
bool exchange_back_32(u64 address, u64 old_value, u64 new_value) {
  if (exchange_back<u32>(address, old_value, new_value)) {
    if (old_value == 0 && new_value == 2) {
      wake_one(address);
    }
    return true;
  }
  if (old_value == 0 && new_value == 1 && exchange_back<u32>(address, 0, 2)) {
    wake_one(address);
    return true;
  }
  return false;
}

bool exchange_back_128(u64 address, const u64 (&old_value)[2], u64 new_low, u64 new_high) {
  bool equal;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(equal), "+m"(*pointer_to<u64[2]>(address)), "+a"(new_low), "+d"(new_high)
               : "b"(old_value[0]), "c"(old_value[1])
               : "memory");
  return equal;
}

bool exchange(const ActionRecord& record, Unheld& unheld) {
  // An older exchange of a word that somebody else has taken would hand that somebody's lock out.
  if (unheld.contains(record.a)) {
    return false;
  }
  bool done = false;
  switch (record.action()) {
    case Action::atomic_exchange_8:
      done = exchange_back<u8>(record.a, record.c, record.b);
      break;
    case Action::atomic_exchange_16:
      done = exchange_back<u16>(record.a, record.c, record.b);
      break;
    case Action::atomic_exchange_32:
      done = exchange_back_32(record.a, record.c, record.b);
      break;
    case Action::atomic_exchange_64:
      done = exchange_back<u64>(record.a, record.c, record.b);
      break;
    default: {
      const auto& operands = *pointer_to<const ActionRecord>(record.older);
      done = exchange_back_128(record.a, {record.b, record.c}, operands.b, operands.c);
    }
  }
  if (!done) {
    unheld.add(record.a);
  }
  return done;
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

bool modify(const ActionRecord& record) {
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

// The guest's writes to what a lock guards are taken back under that lock again: the holder of the
// moment gets a bounded time to let go. No call that may block: a rollback must end.
bool relock(u64 trylock, u64 lock, Unheld& unheld) {
  constexpr unsigned attempts = 20000;
  for (unsigned i = 0; trylock != 0 && i < attempts; ++i) {
    const int result = static_cast<int>(call_at(trylock, lock));
    if (result == 0 || result == EOWNERDEAD) {
      return true;
    }
    if (result != EBUSY) {
      break;
    }
    __builtin_ia32_pause();
  }
  unheld.add(lock);
  return false;
}

bool unlock(u64 function, u64 lock, Unheld& unheld) {
  if (unheld.contains(lock)) {
    unheld.remove(lock);  // counted when relocking it failed
    return true;
  }
  return function != 0 && static_cast<int>(call_at(function, lock)) == 0;
}

bool restore_descriptor(u64 fd, u64 held, u64 cloexec) {
  if (!may_call(SYS_fcntl)) {
    return false;
  }
  // Not dup2: by now the number may belong to a descriptor another thread has opened.
  const long got = raw_syscall(SYS_fcntl, held, cloexec != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, fd);
  raw_syscall(SYS_close, held);
  if (got == static_cast<long>(fd)) {
    return true;
  }
  if (!syscall_failed(got)) {
    raw_syscall(SYS_close, static_cast<u64>(got));
  }
  return false;
}

bool restore_sigaction(const ActionRecord& record) {
  const auto& rest = *pointer_to<const ActionRecord>(record.older);
  const struct { u64 handler, flags, restorer, mask; } old{record.b, record.c, rest.a, rest.b};
  return succeeds(SYS_rt_sigaction, record.a, address_of(&old), 0, sizeof old.mask);
}

}  // namespace

void set_may_call(bool (*hook)(long number)) {
  may_call_hook = hook;
}

bool may_call(long number) {
  return may_call_hook == nullptr || may_call_hook(number);
}

void Unheld::add(u64 address) {
  if (count_ < capacity && !contains(address)) {
    addresses_[count_++] = address;
  }
}

bool Unheld::contains(u64 address) const {
  for (unsigned i = 0; i < count_; ++i) {
    if (addresses_[i] == address) {
      return true;
    }
  }
  return false;
}

void Unheld::remove(u64 address) {
  for (unsigned i = 0; i < count_; ++i) {
    if (addresses_[i] == address) {
      addresses_[i] = addresses_[--count_];
      return;
    }
  }
}

bool log_exchange_128(UndoLog& log, u64 address, const u64 (&old_value)[2],
                      const u64 (&new_value)[2]) {
  return log.room() && log.action(Action::atomic_new_128, address, new_value[0], new_value[1]) &&
         log.action(Action::atomic_exchange_128, address, old_value[0], old_value[1]);
}

bool undo(const ActionRecord& record, Unheld& unheld, Thread* owner) {
  const NativeFunctions& native = native_functions;
  const u64 a = record.a;
  const u64 b = record.b;
  const u64 c = record.c;
  switch (record.action()) {
    case Action::none:
    case Action::given_away:
    case Action::atomic_new_128:
    case Action::sigaction_rest:
      return true;
    case Action::atomic_add:
    case Action::atomic_set:
    case Action::atomic_clear:
    case Action::atomic_flip:
      return modify(record);
    case Action::atomic_exchange_8:
    case Action::atomic_exchange_16:
    case Action::atomic_exchange_32:
    case Action::atomic_exchange_64:
    case Action::atomic_exchange_128:
      return exchange(record, unheld);

    case Action::free_memory: {
      const NativeScope scope(
          owner, ThreadState::busy);  // a fault in there must not be cut short: it holds a lock
      call_at(native.free, a);
      return true;
    }
    case Action::unmap:
      return succeeds(SYS_munmap, a, b);
    case Action::make_writable:
      return succeeds(SYS_mprotect, a, b, PROT_READ | PROT_WRITE);
    case Action::restore_break:
      return may_call(SYS_brk) && raw_syscall(SYS_brk, a) == static_cast<long>(a);
    case Action::detach_shared:
      return succeeds(SYS_shmdt, a);

    case Action::close_fd:
      return succeeds(SYS_close, a);
    case Action::restore_fd:
      return restore_descriptor(a, b, c);
    case Action::seek_back:
      return succeeds(SYS_lseek, a, -b, SEEK_CUR);
    case Action::seek_to:
      return succeeds(SYS_lseek, a, b, SEEK_SET);
    case Action::restore_flags:
      return succeeds(SYS_fcntl, a, b, c);
    case Action::restore_signal_mask:
      return succeeds(SYS_rt_sigprocmask, SIG_SETMASK, address_of(&record.a), 0, sizeof record.a);
    case Action::restore_sigaction:
      return restore_sigaction(record);
    case Action::restore_altstack: {
      stack_t stack{};
      stack.ss_sp = pointer_to<void>(a);
      stack.ss_flags = static_cast<int>(b);
      stack.ss_size = c;
      return succeeds(SYS_sigaltstack, address_of(&stack), 0);
    }
    case Action::restore_umask:
      return succeeds(SYS_umask, a);
    case Action::restore_gs_base:
      asm volatile("wrgsbase %0" : : "r"(a));
      return true;

    case Action::unlock_mutex:
      return unlock(native.mutex_unlock, a, unheld);
    case Action::relock_mutex:
      return relock(native.mutex_trylock, a, unheld);
    case Action::unlock_rwlock:
      return unlock(native.rwlock_unlock, a, unheld);
    case Action::relock_rwlock:
      return relock(b == 1 ? native.rwlock_tryrdlock : native.rwlock_trywrlock, a, unheld);
    case Action::unlock_spin:
      return unlock(native.spin_unlock, a, unheld);
    case Action::relock_spin:
      return relock(native.spin_trylock, a, unheld);
    case Action::post_semaphore:
      return native.sem_post != 0 && static_cast<int>(call_at(native.sem_post, a)) == 0;
    case Action::take_semaphore:
      return native.sem_trywait != 0 && static_cast<int>(call_at(native.sem_trywait, a)) == 0;
  }
  return false;
}

void perform(Deferred effect, u64 a, u64 b) {
  switch (effect) {
    case Deferred::none:
      return;
    case Deferred::free_memory:
      call_at(native_functions.free, a);
      return;
    case Deferred::close_fd:
    case Deferred::close_file:
      raw_syscall(SYS_close, a);
      return;
    case Deferred::unmap:
      raw_syscall(SYS_munmap, a, b);
      return;
  }
}

}  // namespace selfheal::emulator
