#include "probes/resume.h"

#include "lib/base/raw_syscall.h"
#include "probes/classify.h"
#include "probes/kernel.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

extern "C" {
[[noreturn]] void selfheal_resume_user(ucontext_t* context);
[[noreturn]] void selfheal_fault_again(ucontext_t* context);
[[noreturn]] void selfheal_die_without_system_calls(u64 stack);
}

[[noreturn]] void last_resort() {
  const Thread& thread = this_thread();
  if (thread.own_stack != 0 && !thread.has_application_stack()) {
    selfheal_die_without_system_calls(thread.own_stack);
  }
  __builtin_trap();
}

void set_mask_of(const SignalContext& signal) {
  if (!allowed(Call::rt_sigprocmask)) {
    last_resort();
  }
  set_kernel_mask(mask_word(signal.context->uc_sigmask));
}

}  // namespace

// In user mode the mask stays as it is: the handlers' is that of the interrupted code, so only a
// mask somebody changed costs a system call. (Reading the current one would cost it as well.)
void resume(SignalContext& signal, bool mask_changed) {
  if (allowed(Call::rt_sigreturn)) {
    return;
  }
  if (mask_changed) {
    set_mask_of(signal);
  }
  selfheal_resume_user(signal.context);
}

// A processor's exception is raised again by executing the instruction again, now with the default
// action. Where a filter forbids setting that, the signal is blocked instead: the kernel then does
// not ask anybody (force_sig_info, kernel/signal.c). Either way siginfo, registers, kernel log and
// core are those of the first time.
//
// What was sent, and a breakpoint (rip is past it already), is queued again to this thread, with
// the siginfo it came with (a process may send itself any), while blocked; it is delivered when the
// mask of the context comes back.
void die(SignalContext& signal) {
  u64& mask = mask_word(signal.context->uc_sigmask);
  const u64 bit = signal_bit(signal.signal);
  if (synchronous(*signal.info) && signal.signal != SIGTRAP) {
    if (allowed(Call::rt_sigaction)) {
      set_kernel_default(signal.signal);
      mask &= ~bit;
    } else {
      mask |= bit;
    }
    if (!allowed(Call::rt_sigreturn)) {
      set_mask_of(signal);
      selfheal_fault_again(signal.context);
    }
    return;
  }
  if (!allowed(Call::rt_sigaction) || !allowed(Call::rt_tgsigqueueinfo) ||
      !allowed(Call::rt_sigprocmask)) {
    last_resort();
  }
  block_in_kernel(bit);
  set_kernel_default(signal.signal);
  queue_to_self(signal.signal, *signal.info);
  mask &= ~bit;
  resume(signal, true);
}

}  // namespace selfheal::probes
