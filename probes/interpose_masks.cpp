// Signal masks. The urgent signals never enter the kernel's (a processor's exception kills when it
// is blocked, without asking the handler); Thread::blocked keeps what the application set, and is
// put back into what it is told.
//
// Unblocking is passed on untouched: a signal that was sent while the application believed it
// blocked is blocked for real (defer, fault_signals.cpp) and comes out then. Thread::blocked
// changes before the kernel's mask does, because that is when it is delivered.
#include <errno.h>
#include <signal.h>

#include "probes/blocking_calls.h"
#include "probes/interpose.h"
#include "probes/kernel.h"
#include "probes/next.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

u64 blocked_after(u64 before, int how, u64 set) {
  switch (how) {
    case SIG_BLOCK:
      return before | set;
    case SIG_UNBLOCK:
      return before & ~set;
    default:
      return set;
  }
}

// The mask of ppoll and its kind, in force for one call.
class TemporaryMask {
 public:
  explicit TemporaryMask(const sigset_t* wanted) : before_(this_thread().blocked) {
    if (wanted != nullptr && !in_vfork_child()) {
      set_ = *wanted;
      mask_word(set_) = kernel_part(mask_word(set_));
      wanted_ = mask_word(*wanted);
      this_thread().blocked = wanted_ & urgent_signals();
      pointer_ = &set_;
    } else {
      pointer_ = wanted;
    }
  }
  ~TemporaryMask() {
    if (pointer_ == &set_) {
      Thread& thread = this_thread();
      thread.blocked = before_;
      // What the call let through is blocked in the kernel again, and need not be.
      const u64 delivered = thread.deferred & ~wanted_;
      if (delivered != 0) {
        thread.deferred &= ~delivered;
        unblock_in_kernel(delivered);
      }
    }
  }
  TemporaryMask(const TemporaryMask&) = delete;
  TemporaryMask& operator=(const TemporaryMask&) = delete;

  const sigset_t* get() const { return pointer_; }

 private:
  u64 wanted_ = 0;
  sigset_t set_;
  const sigset_t* pointer_;
  u64 before_;
};

}  // namespace

int change_mask(int how, const sigset_t* wanted, sigset_t* before) {
  Thread& thread = this_thread();
  const u64 urgent = urgent_signals();
  const bool ours = wanted != nullptr && mask_word(*wanted) & urgent;
  if ((!ours && thread.blocked == 0) || in_vfork_child()) {
    return selfheal_next_pthread_sigmask(how, wanted, before);
  }
  const u64 blocked_before = thread.blocked;
  sigset_t stripped;
  if (wanted != nullptr) {
    stripped = *wanted;
    thread.blocked = blocked_after(blocked_before, how, mask_word(stripped) & urgent);
    thread.deferred &= thread.blocked;
    if (how != SIG_UNBLOCK) {
      mask_word(stripped) = kernel_part(mask_word(stripped));
    }
    wanted = &stripped;
  }
  const int error = selfheal_next_pthread_sigmask(how, wanted, before);
  if (error != 0) {
    thread.blocked = blocked_before;
  } else if (before != nullptr) {
    mask_word(*before) |= blocked_before;
  }
  return error;
}

SELFHEAL_INTERPOSE(int, pthread_sigmask, int how, const sigset_t* wanted, sigset_t* before) {
  return change_mask(how, wanted, before);
}

SELFHEAL_INTERPOSE(int, sigprocmask, int how, const sigset_t* wanted, sigset_t* before) {
  const int error = change_mask(how, wanted, before);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return 0;
}

SELFHEAL_INTERPOSE(int, sigsuspend, const sigset_t* wanted) {
  const TemporaryMask mask(wanted);
  return selfheal_next_sigsuspend(mask.get());
}

SELFHEAL_INTERPOSE(int, __sigsuspend, const sigset_t* wanted) {
  return interposed_sigsuspend(wanted);
}

SELFHEAL_INTERPOSE(int, ppoll, pollfd* fds, nfds_t count, const timespec* timeout,
                   const sigset_t* wanted) {
  note_waiting_call();
  const TemporaryMask mask(wanted);
  return selfheal_next_ppoll(fds, count, timeout, mask.get());
}

SELFHEAL_INTERPOSE(int, __ppoll_chk, pollfd* fds, nfds_t count, const timespec* timeout,
                   const sigset_t* wanted, size_t size) {
  note_waiting_call();
  const TemporaryMask mask(wanted);
  return selfheal_next___ppoll_chk(fds, count, timeout, mask.get(), size);
}

SELFHEAL_INTERPOSE(int, pselect, int count, fd_set* read, fd_set* write, fd_set* except,
                   const timespec* timeout, const sigset_t* wanted) {
  note_waiting_call();
  const TemporaryMask mask(wanted);
  return selfheal_next_pselect(count, read, write, except, timeout, mask.get());
}

SELFHEAL_INTERPOSE(int, epoll_pwait, int epoll, epoll_event* events, int count, int timeout,
                   const sigset_t* wanted) {
  note_waiting_call();
  const TemporaryMask mask(wanted);
  return selfheal_next_epoll_pwait(epoll, events, count, timeout, mask.get());
}

SELFHEAL_INTERPOSE(int, epoll_pwait2, int epoll, epoll_event* events, int count,
                   const timespec* timeout, const sigset_t* wanted) {
  note_waiting_call();
  const TemporaryMask mask(wanted);
  return selfheal_next_epoll_pwait2(epoll, events, count, timeout, mask.get());
}

// The interfaces from before POSIX, with one signal or an int for a set.

namespace {

int change_one(int how, int signal) {
  if (signal < 1 || signal > 64) {
    errno = EINVAL;
    return -1;
  }
  sigset_t one{};
  mask_word(one) = signal_bit(signal);
  return interposed_sigprocmask(how, &one, nullptr);
}

int change_int_mask(int how, const int* wanted) {
  sigset_t set{};
  sigset_t before{};
  if (wanted != nullptr) {
    mask_word(set) = static_cast<u32>(*wanted);
  }
  interposed_sigprocmask(how, wanted != nullptr ? &set : nullptr, &before);
  return static_cast<int>(mask_word(before));
}

}  // namespace

SELFHEAL_INTERPOSE(int, sighold, int signal) {
  return change_one(SIG_BLOCK, signal);
}

SELFHEAL_INTERPOSE(int, sigrelse, int signal) {
  return change_one(SIG_UNBLOCK, signal);
}

SELFHEAL_INTERPOSE(int, sigblock, int mask) {
  return change_int_mask(SIG_BLOCK, &mask);
}

SELFHEAL_INTERPOSE(int, sigsetmask, int mask) {
  return change_int_mask(SIG_SETMASK, &mask);
}

SELFHEAL_INTERPOSE(int, siggetmask) {
  return change_int_mask(SIG_BLOCK, nullptr);
}

}  // namespace selfheal::probes
