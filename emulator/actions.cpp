#include "emulator/actions.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "emulator/actions_internal.h"
#include "emulator/guard.h"
#include "emulator/thread.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

constinit NativeFunctions native_functions{};

namespace {

using MayCall = bool (*)(long);
constinit MayCall may_call_hook = nullptr;
using DiesOfAbort = bool (*)();
constinit DiesOfAbort dies_of_abort_hook = nullptr;

bool succeeds(long number, u64 a, u64 b = 0, u64 c = 0, u64 d = 0) {
  return may_call(number) && !syscall_failed(raw_syscall(number, a, b, c, d));
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

void set_dies_of_abort(bool (*hook)()) {
  dies_of_abort_hook = hook;
}

bool dies_of_abort() {
  return dies_of_abort_hook == nullptr || dies_of_abort_hook();
}

bool AddressSet::add(u64 address) {
  if (contains(address)) {
    return true;
  }
  if (size_ == capacity) {
    return false;
  }
  addresses_[size_++] = address;
  return true;
}

bool AddressSet::contains(u64 address) const {
  for (unsigned i = 0; i < size_; ++i) {
    if (addresses_[i] == address) {
      return true;
    }
  }
  return false;
}

void AddressSet::remove(u64 address) {
  for (unsigned i = 0; i < size_; ++i) {
    if (addresses_[i] == address) {
      addresses_[i] = addresses_[--size_];
      return;
    }
  }
}

bool Patience::lasts() {
  // Some 50 ms: a holder that the scheduler has taken away comes back within that; or, on a machine
  // so busy that it does not, once we have given way that many times.
  constexpr u64 cycles = u64{1} << 27;
  constexpr unsigned short_wait = 200;
  constexpr unsigned turns = 100;
  const u64 now = __builtin_ia32_rdtsc();
  if (attempts_ == 0) {
    begin_ = now;
  }
  if (++attempts_ > short_wait && may_call(SYS_sched_yield)) {
    raw_syscall(SYS_sched_yield);
  } else {
    __builtin_ia32_pause();
  }
  return now - begin_ < cycles || attempts_ < short_wait + turns;
}

bool undo(const ActionRecord& record, RollbackState& state, Thread* owner) {
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
    case Action::atomic_exchange_8:
    case Action::atomic_exchange_16:
    case Action::atomic_exchange_32:
    case Action::atomic_exchange_64:
    case Action::atomic_exchange_128:
      return undo_word(record, state);

    case Action::free_memory: {
      const NativeScope scope(
          owner, ThreadState::busy);  // a fault in there must not be cut short: it holds a lock
      call_at(native_functions.free, a);
      return true;
    }
    case Action::unmap:
      return succeeds(SYS_munmap, a, b);
    case Action::make_writable:
      return succeeds(SYS_mprotect, a, b, PROT_READ | PROT_WRITE);
    case Action::restore_break:  // unless somebody has moved it since
      return may_call(SYS_brk) && raw_syscall(SYS_brk, 0) == static_cast<long>(b) &&
             raw_syscall(SYS_brk, a) == static_cast<long>(a);
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
    case Action::drop_output:
      drop_held_output(*owner, a);
      return true;

    case Action::unlock_mutex:
    case Action::relock_mutex:
    case Action::unlock_rwlock:
    case Action::relock_rwlock:
    case Action::unlock_spin:
    case Action::relock_spin:
    case Action::post_semaphore:
    case Action::take_semaphore:
    case Action::abort_guard:
      return undo_lock(record, state.unheld);
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
