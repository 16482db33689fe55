// Signals, limits, waiting, and the calls that are many calls in one.
#include <asm/prctl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>

#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

// The kernel's struct sigaction and stack_t, not libc's.
struct KernelSigaction {
  u64 handler, flags, restorer, mask;
};

}  // namespace

// (signal, action, old action, size of the mask)
EffectResult handle_sigaction(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  KernelSigaction own{};
  const KernelSigaction* before = old_value(call, 2, own);
  call.perform();
  if (!call.failed() && call.argument(1) != 0) {
    static_cast<void>(call.log().action(Action::sigaction_rest, before->restorer, before->mask));
    static_cast<void>(call.log().action(Action::restore_sigaction, call.argument(0),
                                        before->handler, before->flags));
  }
  return call.done();
}

// (how, set, old set, size)
EffectResult handle_sigprocmask(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  u64 own = 0;
  const u64* before = old_value(call, 2, own);
  call.perform();
  if (!call.failed() && call.argument(1) != 0) {
    static_cast<void>(call.log().action(Action::restore_signal_mask, *before));
  }
  return call.done();
}

// (stack, old stack)
EffectResult handle_sigaltstack(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  stack_t own{};
  const stack_t* before = old_value(call, 1, own);
  call.perform();
  if (!call.failed() && call.argument(0) != 0) {
    static_cast<void>(call.log().action(Action::restore_altstack, address_of(before->ss_sp),
                                        static_cast<u32>(before->ss_flags), before->ss_size));
  }
  return call.done();
}

// raise(SIGABRT), however it is spelt, is foreseen as abort() is (models_abort.cpp). kill to a
// group of ours is not: others get it, too.
namespace {

EffectResult send(Call& call, u64 signal, bool to_self) {
  if (to_self && static_cast<u32>(signal) == SIGABRT && dies_of_abort()) {
    return call.foresee_abort();
  }
  call.perform();
  return call.irrevocable();
}

// Whose number is it: what that system call, if it may be made, says?
bool is_own(u64 id, long asking) {
  return may_call(asking) && static_cast<i32>(id) == raw_syscall(asking);
}

}  // namespace

// (process, signal)
EffectResult handle_kill(Call& call) {
  return send(call, call.argument(1), is_own(call.argument(0), SYS_getpid));
}

// (thread, signal)
EffectResult handle_tkill(Call& call) {
  return send(call, call.argument(1), is_own(call.argument(0), SYS_gettid));
}

// (process, thread, signal)
EffectResult handle_tgkill(Call& call) {
  return send(call, call.argument(2), is_own(call.argument(1), SYS_gettid));
}

EffectResult handle_umask(Call& call) {
  const u64 before = static_cast<u64>(call.perform());
  if (!call.interrupted()) {
    static_cast<void>(call.log().action(Action::restore_umask, before));
  }
  return call.done();
}

EffectResult handle_prctl(Call& call) {
  u16 filled = 0;
  bool changes = false;
  switch (static_cast<u32>(call.argument(0))) {
    case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_TSC:
      filled = 4;
      break;
    case PR_GET_NAME:
      filled = 16;
      break;
    case PR_GET_TID_ADDRESS:
      filled = 8;
      break;
    case PR_GET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_GET_TIMING:
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
    case PR_GET_TIMERSLACK:
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_THP_DISABLE:
    case PR_CAPBSET_READ:
    case PR_GET_SPECULATION_CTRL:
      break;
    case PR_SET_NAME:
    case PR_SET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_THP_DISABLE:
    case PR_SET_VMA:
    case PR_CAPBSET_DROP:
      changes = true;
      break;
    default:
      return EffectResult::unsupported;  // seccomp above all: it decides what we may call
  }
  if (filled != 0 && !call.keep_fixed(1, filled)) {
    return EffectResult::log_full;
  }
  call.perform();
  return changes ? call.irrevocable() : call.done();
}

// (code, address): the bases of FS and GS are the thread's own, and ours.
EffectResult handle_arch_prctl(Call& call) {
  const u64 code = call.argument(0);
  if (code != ARCH_GET_FS && code != ARCH_GET_GS) {
    return EffectResult::unsupported;
  }
  if (!call.keep_fixed(1, sizeof(u64))) {
    return EffectResult::log_full;
  }
  call.perform();
  return call.done();
}

// (pid, resource, new limit, old limit)
EffectResult handle_prlimit(Call& call) {
  if (!call.keep_row_buffers()) {
    return EffectResult::log_full;
  }
  call.perform();
  return call.argument(2) != 0 ? call.irrevocable() : call.done();
}

// (word, operation, value, timeout or value 2, second word, value 3)
EffectResult handle_futex(Call& call) {
  switch (static_cast<u32>(call.argument(1)) & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
      call.log().run_deferred();
      break;
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      break;  // waking too many is always allowed
    case FUTEX_WAKE_OP:
      if (!call.keep_fixed(4, sizeof(u32))) {
        return EffectResult::log_full;
      }
      break;
    default:  // priority inheritance: the kernel owns the word
      call.log().run_deferred();
      call.perform();
      return call.irrevocable();
  }
  call.perform();
  return call.done();
}

// A child that has been waited for is gone; asking in vain (WNOHANG) changes nothing.
EffectResult handle_wait(Call& call) {
  if (!call.keep_row_buffers()) {
    return EffectResult::log_full;
  }
  const bool waitid = call.row().number == SYS_waitid;
  call.perform();
  return call.result() > 0 || waitid ? call.irrevocable() : call.done();
}

}  // namespace selfheal::emulator
