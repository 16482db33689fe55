// sigaction and its older relatives. For the signals we handle, the application talks to our table
// of dispositions; for all others to the kernel, with two things taken out of what it sets and put
// back into what it is told:
//
//   sa_mask     loses the handled signals: one that is blocked kills without a handler
//   SA_ONSTACK  is kept back while no thread has an alternate stack of the application's: its
//               handlers would land on ours, which is small and not theirs
//
// and once there is an engine, with our entry as the handler (asynchronous.h).
//
// A vfork child changes only the kernel's table, which is its own; ours is its parent's.
#include <atomic>
#include <errno.h>
#include <signal.h>

#include "probes/asynchronous.h"
#include "probes/dispositions.h"
#include "probes/interpose.h"
#include "probes/kernel.h"
#include "probes/kernel_handlers.h"
#include "probes/next.h"
#include "probes/thread_state.h"
#include "probes/timer_signal.h"

namespace selfheal::probes {
namespace {

constinit std::atomic<u64> withheld_mask[65]{};
constinit std::atomic<u64> wants_alternate_stack_of{0};
constinit std::atomic<bool> alternate_stacks_in_use{false};
constinit std::atomic<u64> interrupting{0};  // siginterrupt(signal, 1)

int change_handled(int signal, const struct sigaction* wanted, struct sigaction* before) {
  if (wanted == nullptr) {
    if (before != nullptr) {
      *before = to_libc(disposition(signal));
    }
    return 0;
  }
  const Disposition d = from_libc(*wanted);
  if (in_vfork_child()) {
    if (before != nullptr) {
      *before = to_libc(disposition(signal));
    }
    kernel_sigaction(signal, &d, nullptr);
    return 0;
  }
  set_kernel_handler(signal, d);
  const Disposition old = exchange_disposition(signal, d);
  if (before != nullptr) {
    *before = to_libc(old);
  }
  return 0;
}

int change_other(int signal, const struct sigaction* wanted, struct sigaction* before) {
  if (signal < 1 || signal > 64 || handled_signals() == 0) {
    return selfheal_next_sigaction(signal, wanted, before);
  }
  const u64 bit = signal_bit(signal);
  const u64 withheld = withheld_mask[signal].load(std::memory_order_relaxed);
  const bool kept_back = wants_alternate_stack_of.load(std::memory_order_relaxed) & bit;
  const u64 handler = application_handler(signal);
  struct sigaction changed;
  if (wanted != nullptr && !in_vfork_child()) {
    changed = *wanted;
    u64& mask = mask_word(changed.sa_mask);
    withheld_mask[signal].store(mask & urgent_signals(), std::memory_order_relaxed);
    mask &= ~urgent_signals();
    wants_alternate_stack_of.fetch_and(~bit, std::memory_order_relaxed);
    if (changed.sa_flags & SA_ONSTACK) {
      wants_alternate_stack_of.fetch_or(bit, std::memory_order_relaxed);
      if (!alternate_stacks_in_use.load(std::memory_order_seq_cst)) {
        changed.sa_flags &= ~SA_ONSTACK;
      }
    }
    wrap_handler(signal, changed);
    wanted = &changed;
  }
  const int result = selfheal_next_sigaction(signal, wanted, before);
  if (result == 0 && before != nullptr) {
    mask_word(before->sa_mask) |= withheld;
    if (kept_back) {
      before->sa_flags |= SA_ONSTACK;
    }
    unwrap_handler(*before, handler);
  }
  return result;
}

}  // namespace

int change_action(int signal, const struct sigaction* wanted, struct sigaction* before) {
  return is_handled(signal) ? change_handled(signal, wanted, before)
                            : change_other(signal, wanted, before);
}

bool wants_alternate_stack(int signal) {
  return wants_alternate_stack_of.load(std::memory_order_relaxed) & signal_bit(signal);
}

void release_alternate_stack_flags() {
  if (alternate_stacks_in_use.exchange(true, std::memory_order_seq_cst)) {
    return;
  }
  for (int signal = 1; signal <= 64; ++signal) {
    Disposition d{};
    if (wants_alternate_stack_of.load(std::memory_order_relaxed) & signal_bit(signal) &&
        kernel_sigaction(signal, nullptr, &d)) {
      d.flags |= SA_ONSTACK;
      kernel_sigaction(signal, &d, nullptr);
    }
  }
}

namespace {

// SIG_ERR, with errno, for what the kernel refuses.
sighandler_t simple_action(int signal, sighandler_t handler, u64 mask, int flags) {
  if (handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  struct sigaction wanted {};
  struct sigaction before {};
  wanted.sa_handler = handler;
  wanted.sa_flags = flags;
  mask_word(wanted.sa_mask) = mask;
  return change_action(signal, &wanted, &before) == 0 ? before.sa_handler : SIG_ERR;
}

bool is_signal(int signal) {
  if (signal < 1 || signal > 64) {
    errno = EINVAL;
    return false;
  }
  return true;
}

}  // namespace

SELFHEAL_INTERPOSE(int, sigaction, int signal, const struct sigaction* wanted,
                   struct sigaction* before) {
  return change_action(signal, wanted, before);
}

SELFHEAL_INTERPOSE(int, __sigaction, int signal, const struct sigaction* wanted,
                   struct sigaction* before) {
  return change_action(signal, wanted, before);
}

// The older interfaces are libc's own on top of its own sigaction, out of our reach: they are here
// on top of ours.

// BSD semantics, as glibc's signal has them: the signal blocks itself, system calls restart.
SELFHEAL_INTERPOSE(sighandler_t, signal, int signal, sighandler_t handler) {
  if (!is_signal(signal)) {
    return SIG_ERR;
  }
  const u64 bit = signal_bit(signal);
  const bool interrupts = interrupting.load(std::memory_order_relaxed) & bit;
  return simple_action(signal, handler, bit, interrupts ? 0 : SA_RESTART);
}

SELFHEAL_INTERPOSE(sighandler_t, bsd_signal, int signal, sighandler_t handler) {
  return interposed_signal(signal, handler);
}

SELFHEAL_INTERPOSE(sighandler_t, ssignal, int signal, sighandler_t handler) {
  return interposed_signal(signal, handler);
}

// System V semantics: one shot, unblocked, system calls interrupted.
SELFHEAL_INTERPOSE(sighandler_t, sysv_signal, int signal, sighandler_t handler) {
  return is_signal(signal)
             ? simple_action(signal, handler, 0, static_cast<int>(SA_RESETHAND | SA_NODEFER))
             : SIG_ERR;
}

SELFHEAL_INTERPOSE(sighandler_t, __sysv_signal, int signal, sighandler_t handler) {
  return interposed_sysv_signal(signal, handler);
}

SELFHEAL_INTERPOSE(int, siginterrupt, int signal, int interrupt) {
  struct sigaction action {};
  if (change_action(signal, nullptr, &action) != 0) {
    return -1;
  }
  if (interrupt) {
    interrupting.fetch_or(signal_bit(signal), std::memory_order_relaxed);
    action.sa_flags &= ~SA_RESTART;
  } else {
    interrupting.fetch_and(~signal_bit(signal), std::memory_order_relaxed);
    action.sa_flags |= SA_RESTART;
  }
  return change_action(signal, &action, nullptr);
}

SELFHEAL_INTERPOSE(int, sigignore, int signal) {
  struct sigaction wanted {};
  wanted.sa_handler = SIG_IGN;
  return change_action(signal, &wanted, nullptr);
}

SELFHEAL_INTERPOSE(sighandler_t, sigset, int signal, sighandler_t handler) {
  if (!is_signal(signal)) {
    return SIG_ERR;
  }
  sigset_t one{};
  sigset_t before{};
  mask_word(one) = signal_bit(signal);
  sighandler_t old;
  if (handler == SIG_HOLD) {
    struct sigaction now {};
    if (change_action(signal, nullptr, &now) != 0) {
      return SIG_ERR;
    }
    old = now.sa_handler;
    change_mask(SIG_BLOCK, &one, &before);
  } else {
    old = simple_action(signal, handler, 0, 0);
    if (old == SIG_ERR) {
      return SIG_ERR;
    }
    change_mask(SIG_UNBLOCK, &one, &before);
  }
  return mask_word(before) & signal_bit(signal) ? SIG_HOLD : old;
}

// Called before every exec. Handlers do not survive it, but what is ignored and what is blocked
// does, and so far only the application believes it. Should exec fail, these signals stay so: as
// they would be without us.
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_exec() {
  const int kept = errno;
  selfheal_before_end();
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, timer_signal()}) {
    if (is_handled(signal) && disposition(signal).is_ignored()) {
      Disposition current{};
      // A vfork child may have set another one, for itself alone.
      if (in_vfork_child() && kernel_sigaction(signal, nullptr, &current) &&
          !is_our_handler(current)) {
        continue;
      }
      const Disposition ignored{1, 0, 0, 0};
      kernel_sigaction(signal, &ignored, nullptr);
    }
  }
  if (this_thread().blocked != 0) {
    block_in_kernel(this_thread().blocked);
  }
  errno = kept;
}

}  // namespace selfheal::probes
