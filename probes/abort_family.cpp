// abort() and what leads to it: __assert_fail, __stack_chk_fail, …
//
// Usually nothing is to be done here. abort() raises SIGABRT by tgkill, the handler finds the stack
// with all that was called on it, and that tells what happened (lib/recover/abort_story.h). A
// seccomp filter can take either away:
//
//    tgkill is forbidden         abort() dies of SIGSYS before any SIGABRT: write it down before
//    rt_sigaction is forbidden   the handler could not give the signal back to the kernel: SIGABRT
//                                is set to its default action before the filter is in force, and
//                                what aborts is written down before
//
// libc's own calls of abort(), for a damaged heap say, do not come here: in such a sandbox they go
// unrecorded.
#include "probes/abort_family.h"

#include <atomic>
#include <signal.h>

#include "probes/application_handlers.h"
#include "probes/interpose.h"
#include "probes/kernel.h"
#include "probes/kernel_handlers.h"
#include "probes/pending.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constinit std::atomic<bool> left_to_kernel{false};

bool handler_will_see_it() {
  return handled_signals() == 0 ||
         (allowed(Call::tgkill) && !left_to_kernel.load(std::memory_order_relaxed));
}

// The registers here: unwinding from them leads through our caller's frames.
__attribute__((always_inline)) inline void capture(Registers& here) {
  u64* gpr = here.gpr;
  asm volatile(
      "movq %%rbx, 24(%0)\n\t"
      "movq %%rsp, 32(%0)\n\t"
      "movq %%rbp, 40(%0)\n\t"
      "movq %%r12, 96(%0)\n\t"
      "movq %%r13, 104(%0)\n\t"
      "movq %%r14, 112(%0)\n\t"
      "movq %%r15, 120(%0)\n\t"
      "leaq 0(%%rip), %1"
      : "+r"(gpr), "=&r"(here.rip)
      :
      : "memory");
}
static_assert(rbx == 3 && rsp == 4 && rbp == 5 && r12 == 12);

}  // namespace

extern "C" __attribute__((visibility("hidden"))) void selfheal_before_abort() {
  selfheal_before_end();
  const bool in_handler =
      this_thread().runs != 0 && inside_application_handler(address_of(__builtin_frame_address(0)));
  if (handler_will_see_it() || in_handler || in_vfork_child()) {
    return;
  }
  Fault fault{};
  fault.kind = FaultKind::abort;
  fault.signal = SIGABRT;
  fault.code = SI_TKILL;
  capture(fault.registers);
  SignalContext none{SIGABRT, nullptr, nullptr};
  prepare_pending(fault, none);
  commit_pending();
}

extern "C" __attribute__((visibility("hidden"))) void selfheal_before_assertion(
    const char* assertion) {
  this_thread().abort_text = assertion;
  selfheal_before_abort();
}

const char* abort_text() {
  return this_thread().abort_text;
}

void leave_abort_to_kernel() {
  if (!allowed(Call::rt_sigaction) && is_handled(SIGABRT) && !disposition(SIGABRT).has_handler() &&
      !disposition(SIGABRT).is_ignored() && !left_to_kernel.exchange(true)) {
    set_kernel_default(SIGABRT);
  }
}

void take_abort_back() {
  if (left_to_kernel.exchange(false)) {
    set_kernel_handler(SIGABRT, disposition(SIGABRT));
  }
}

}  // namespace selfheal::probes
