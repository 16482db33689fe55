// How an application's handler is run
//
//      our stack                      the interrupted stack, or the application's alternate one
//      ┌──────────────────┐           ┌──────────────────────────────┐
//      │ frame (kernel's) │──copy────►│ frame, seen by the handler   │ return address:
//      │ on_signal ...    │           │ handler's own frames ...     │ selfheal_handler_return
//      └──────────────────┘           └──────────────────────────────┘
//        abandoned                       rt_sigreturn takes it from here
//
// In the copy the application sees what it would have seen: the mask and the alternate stack it
// set. Handled signals are not blocked in the kernel while the handler runs; Thread::blocked says
// which ones the application believes to be. `run` remembers what it was before, for the two ways
// out: returning (the frame holds the mask, perhaps changed) and longjmp (the jump buffer holds
// the kernel's mask, which knows nothing of ours).
#include "probes/application_handlers.h"

#include <errno.h>
#include <setjmp.h>

#include "lib/base/mangled.h"
#include "probes/frame.h"
#include "probes/kernel.h"
#include "probes/pending.h"
#include "probes/resume.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

extern "C" {
[[noreturn]] void selfheal_run_handler(Frame* frame, int signal, u64 handler);
void selfheal_handler_return();
}

HandlerRun* innermost(Thread& thread) {
  return thread.runs != 0 && thread.runs <= Thread::max_runs ? &thread.run[thread.runs - 1]
                                                             : nullptr;
}

// On a stack of the handler's own, or below its frame on the interrupted one.
bool is_inside(const Thread& thread, const HandlerRun& run, u64 stack_pointer) {
  return thread.on_application_stack(run.frame) == thread.on_application_stack(stack_pointer) &&
         stack_pointer <= run.frame + sizeof(Frame);
}

}  // namespace

void run_application_handler(const SignalContext& signal, const Disposition& disposition,
                             int error_number) {
  Thread& thread = this_thread();
  Frame* frame = place_handler_frame(*Frame::of(signal), stack_pointer(signal.context),
                                     disposition.flags & SA_ONSTACK);
  if (frame == nullptr) {
    return;
  }
  frame->return_address = address_of_function(selfheal_handler_return);
  ucontext_t* context = frame->context();
  if (thread.runs < Thread::max_runs) {
    thread.run[thread.runs] = {address_of(frame), thread.blocked, context->uc_stack,
                               signal.signal == SIGABRT ? certain_pending() : nullptr};
  }
  ++thread.runs;
  mask_word(context->uc_sigmask) |= thread.blocked;
  context->uc_stack = thread.application_stack;

  u64 blocked = disposition.mask;
  if (!(disposition.flags & u64{SA_NODEFER})) {
    blocked |= signal_bit(signal.signal);
  }
  thread.blocked |= blocked & urgent_signals();
  if (blocked & ~urgent_signals() && allowed(Call::rt_sigprocmask)) {
    block_in_kernel(blocked & ~urgent_signals());
  }
  errno = error_number;
  selfheal_run_handler(frame, signal.signal, disposition.handler);
}

extern "C" __attribute__((visibility("hidden"))) void selfheal_on_handler_return(
    ucontext_t* context) {
  Thread& thread = this_thread();
  const int kept = errno;
  u64& mask = mask_word(context->uc_sigmask);
  thread.blocked = mask & urgent_signals();
  mask = kernel_part(mask);
  thread.application_stack = context->uc_stack;
  context->uc_stack = own_stack_of(thread);
  if (const HandlerRun* run = innermost(thread)) {
    context->uc_stack = run->kernel_stack;
    if (run->ends != nullptr && run->ends == thread.pending) {
      commit_pending();
    }
  }
  if (thread.runs != 0) {
    --thread.runs;
  }
  errno = kept;
  SignalContext signal{0, nullptr, context};
  resume(signal, true);
}

bool inside_application_handler(u64 stack_pointer) {
  Thread& thread = this_thread();
  const HandlerRun* run = innermost(thread);
  return run != nullptr ? is_inside(thread, *run, stack_pointer) : thread.runs != 0;
}

// longjmp, siglongjmp and their kin.
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_jump(
    const __jmp_buf_tag* target) {
  Thread& thread = this_thread();
  constexpr unsigned jb_rsp = 6;
  const u64 stack_pointer = demangled(static_cast<u64>(target->__jmpbuf[jb_rsp]));
  if (hooks().stack_left != nullptr) {
    hooks().stack_left(stack_pointer);
  }
  while (thread.runs != 0) {
    const HandlerRun* run = innermost(thread);
    if (run != nullptr && is_inside(thread, *run, stack_pointer)) {
      break;  // a jump within the handler
    }
    if (run != nullptr && target->__mask_was_saved) {
      thread.blocked = run->blocked_before;
    }
    --thread.runs;
  }
}

// A handler may also leave by switching to a saved context, whose mask then comes into force.
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_setcontext(
    const ucontext_t* target) {
  Thread& thread = this_thread();
  if (hooks().stack_left != nullptr) {
    hooks().stack_left(0);
  }
  if (thread.runs != 0) {
    thread.runs = 0;
    thread.blocked = mask_word(target->uc_sigmask) & urgent_signals();
  }
}

extern "C" __attribute__((visibility("hidden"))) void selfheal_before_swapcontext(
    ucontext_t*, const ucontext_t* target) {
  selfheal_before_setcontext(target);
}

// exit, _exit, abort: from inside a handler, they are the end of what the fault began. A reporter
// that the handler started by vfork only borrows the process.
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_end() {
  if (this_thread().runs != 0 && !in_vfork_child() &&
      inside_application_handler(address_of(__builtin_frame_address(0)))) {
    commit_pending();
  }
}

// _exit, _Exit, quick_exit: destructors will not run.
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_short_end() {
  selfheal_before_end();
  if (hooks().process_ending != nullptr) {
    hooks().process_ending();
  }
}

}  // namespace selfheal::probes
