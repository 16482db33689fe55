// The signal handler: in what order a fatal signal's parties are asked (hooks.h) is written here.
#include <atomic>
#include <errno.h>
#include <string.h>

#include "probes/application_handlers.h"
#include "probes/asynchronous.h"
#include "probes/classify.h"
#include "probes/frame.h"
#include "probes/hooks.h"
#include "probes/kernel.h"
#include "probes/kernel_handlers.h"
#include "probes/next.h"
#include "probes/own_signal.h"
#include "probes/pending.h"
#include "probes/resume.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"
#include "probes/threads.h"
#include "probes/timer_signal.h"

namespace selfheal::probes {

constinit thread_local Thread selfheal_probe_thread{};

namespace {

extern "C" {
void selfheal_signal_entry();
void selfheal_restorer();
void selfheal_guard_failed();
bool selfheal_guarded(void (*function)(void*), void* argument);
}

constinit Hooks installed_hooks{};
constinit std::atomic<u64> handled{0};

enum class Decision : u8 { resume, die, run_handler };

// abort() and raise(SIGABRT) come as a signal like one that somebody sent.
Fault fault_of(const SignalContext& signal) {
  Fault fault = classify(*signal.info, *signal.context, this_thread().stack);
  if (signal.signal == SIGABRT && sent_by_itself(*signal.info, *signal.context)) {
    fault.kind = FaultKind::abort;
  }
  return fault;
}

void leave_guarded_call(SignalContext& signal) {
  greg_t* registers = signal.context->uc_mcontext.gregs;
  registers[REG_RSP] = static_cast<greg_t>(this_thread().guard);
  registers[REG_RIP] = reinterpret_cast<greg_t>(selfheal_guard_failed);
}

Decision ask_fault_hook(const Fault& fault, SignalContext& signal) {
  if (hooks().fault == nullptr || in_vfork_child()) {
    return Decision::die;
  }
  Thread& thread = this_thread();
  thread.handling = &signal;
  const Verdict verdict = hooks().fault(fault, signal);
  thread.handling = nullptr;
  return verdict == Verdict::resume ? Decision::resume : Decision::die;
}

// Nobody deals with this thread's fault (any more).
Decision on_unhandled(const Fault& fault, SignalContext& signal) {
  if (in_vfork_child() || !claim_pending()) {
    return Decision::die;
  }
  const Decision decision = ask_fault_hook(fault, signal);
  settle_pending();
  return decision;
}

// A hook faulted, outside of any guarded call. Then there shall be nothing but the fault it was
// asked about: go back to that, and die of it.
bool nested_in_hook(SignalContext& signal) {
  Thread& thread = this_thread();
  SignalContext* outer = thread.handling;
  if (outer == nullptr ||
      (thread.own_stack != 0 && !thread.on_own_stack(stack_pointer(signal.context)))) {
    return false;
  }
  thread.handling = nullptr;
  signal.signal = outer->signal;
  signal.info = outer->info;
  memcpy(static_cast<void*>(signal.context), outer->context, sizeof Frame::context_bytes);
  return true;
}

Decision on_exception(SignalContext& signal, Disposition& disposition) {
  Thread& thread = this_thread();
  if (thread.guard != 0) {
    leave_guarded_call(signal);
    return Decision::resume;
  }
  if (nested_in_hook(signal)) {
    return Decision::die;
  }
  if (hooks().thread_fault != nullptr) {
    thread.handling = &signal;
    const bool mine = hooks().thread_fault(signal);
    thread.handling = nullptr;
    if (mine) {
      return Decision::resume;
    }
  }
  const Fault fault = classify(*signal.info, *signal.context, thread.stack);
  disposition = probes::disposition(signal.signal);
  if (disposition.has_handler() && !(thread.blocked & signal_bit(signal.signal))) {
    if (!in_vfork_child()) {
      prepare_pending(fault, signal);
      disposition = take_disposition(signal.signal);
    }
    if (disposition.has_handler()) {
      return Decision::run_handler;
    }
  }
  // A handler that faults itself is the end of the fault it was to deal with.
  if (thread.runs != 0 && inside_application_handler(stack_pointer(signal.context)) &&
      commit_pending() == PendingRecord::written) {
    return Decision::die;
  }
  return on_unhandled(fault, signal);
}

// The application believes this signal blocked: leave the thread as it would be then, with the
// signal blocked for real and waiting. Unblocking it reaches the kernel and brings it back.
void defer(SignalContext& signal) {
  if (!allowed(Call::rt_sigprocmask) || !allowed(Call::rt_tgsigqueueinfo)) {
    return;
  }
  block_in_kernel(signal_bit(signal.signal));
  this_thread().deferred |= signal_bit(signal.signal);
  queue_to_self(signal.signal, *signal.info);
  mask_word(signal.context->uc_sigmask) |= signal_bit(signal.signal);
}

// The process's own abort, which an application's handler may still recover from by a jump. A
// handler that itself aborts is the end of the fault it was to deal with.
bool ends_a_handler(const SignalContext& signal) {
  return this_thread().runs != 0 && inside_application_handler(stack_pointer(signal.context));
}

// A request is ours, whatever the application does with the signal.
bool is_request(SignalContext& signal) {
  if (signal.signal != sample_signal || signal.info->si_code != SI_QUEUE ||
      hooks().asked == nullptr) {
    return false;
  }
  const SampleRequest request = sample_request(address_of(signal.info->si_value.sival_ptr));
  if (request.order != SampleOrder::none && !in_vfork_child()) {
    hooks().asked(request, signal);
  }
  return request.order != SampleOrder::none;
}

Decision on_sent_signal(SignalContext& signal, Disposition& disposition) {
  if (is_request(signal)) {
    return Decision::resume;
  }
  disposition = probes::disposition(signal.signal);
  const Fault fault = fault_of(signal);
  const bool own = fault.kind == FaultKind::abort;
  if (disposition.is_ignored()) {
    if (own && !in_vfork_child()) {  // abort() goes on to set the default action
      prepare_pending(fault, signal);
      commit_if_certain();
    }
    return Decision::resume;
  }
  if (this_thread().blocked & signal_bit(signal.signal)) {
    defer(signal);
    return Decision::resume;
  }
  this_thread().deferred &= ~signal_bit(signal.signal);
  // The process's own abort cannot wait for a better moment.
  if (!own && hooks().thread_signal != nullptr &&
      hooks().thread_signal({signal.signal, address_of_function(selfheal_signal_entry),
                             Frame::of(signal), true, true}) == nullptr) {
    return Decision::resume;
  }
  if (disposition.has_handler()) {
    disposition = take_disposition(signal.signal);
    if (disposition.has_handler()) {
      if (own && !ends_a_handler(signal) && !in_vfork_child()) {
        prepare_pending(fault, signal);
      }
      return Decision::run_handler;
    }
  }
  if (own && ends_a_handler(signal)) {
    commit_pending();
    return Decision::die;
  }
  if (own) {
    return on_unhandled(fault, signal);
  }
  switch (commit_pending_for(signal)) {
    case PendingRecord::written:
      return Decision::die;
    case PendingRecord::being_written:
      return Decision::resume;
    case PendingRecord::none:
      break;
  }
  return signal.signal == timer_signal() ? Decision::die : ask_fault_hook(fault, signal);
}

}  // namespace

extern "C" __attribute__((visibility("hidden"))) Frame* selfheal_place_frame(Frame* frame) {
  const Thread& thread = this_thread();
  if (thread.own_stack == 0 || thread.on_own_stack(address_of(frame))) {
    return frame;
  }
  const u64 interrupted = stack_pointer(frame->context());
  return copy_frame_below(thread.on_own_stack(interrupted)
                              ? interrupted - red_zone
                              : thread.own_stack + alternate_stack_size,
                          frame);
}

extern "C" __attribute__((visibility("hidden"))) void selfheal_on_signal(int number, Frame* frame) {
  const int kept = errno;
  SignalContext signal{number, &frame->info, frame->context(), kept};
  if (number == timer_signal() && hooks().timer != nullptr && hooks().timer(signal)) {
    errno = signal.error_number;
    resume(signal, allowed(Call::rt_sigprocmask));  // a tick's handler is entered with all blocked
    return;
  }
  Disposition disposition{};
  Decision decision = synchronous(frame->info) ? on_exception(signal, disposition)
                                               : on_sent_signal(signal, disposition);
  if (decision == Decision::run_handler) {
    run_application_handler(signal, disposition, kept);
    // No room for its frame. The kernel kills then; what we have is the fault.
    decision = on_unhandled(fault_of(signal), signal);
  }
  errno = signal.error_number;
  if (decision == Decision::die) {
    die(signal);
  } else {
    resume(signal, false);
  }
}

const Hooks& hooks() {
  return installed_hooks;
}

u64 handled_signals() {
  return handled.load(std::memory_order_relaxed);
}

bool in_vfork_child() {
  return this_thread().vfork_depth != 0;
}

bool guarded(void (*function)(void*), void* argument) {
  return selfheal_guarded(function, argument);
}

void set_kernel_handler(int signal, const Disposition& wanted) {
  constexpr u64 restorer = 0x04000000;
  const bool timers = signal == timer_signal() && !wanted.has_handler();
  const bool restart = wanted.is_ignored() || timers || wanted.flags & SA_RESTART;
  // A tick is ours alone: a handler of the application's that came in the middle of it would find
  // our code on our stack where it looks for its thread's. Runtimes with a garbage collector stop
  // their threads by such a signal, and read that stack.
  const u64 mask = timers ? all_but_urgent_signals() : 0;
  const Disposition ours{
      address_of_function(selfheal_signal_entry),
      SA_SIGINFO | SA_ONSTACK | u64{SA_NODEFER} | restorer | (restart ? u64{SA_RESTART} : 0),
      address_of_function(selfheal_restorer), mask};
  kernel_sigaction(signal, &ours, nullptr);
}

bool is_our_handler(const Disposition& in_kernel) {
  return in_kernel.handler == address_of_function(selfheal_signal_entry);
}

void take_over(int signal) {
  Disposition inherited{};
  kernel_sigaction(signal, nullptr, &inherited);
  exchange_disposition(signal, inherited);
  set_kernel_handler(signal, inherited);
  handled.fetch_or(signal_bit(signal), std::memory_order_relaxed);
  if (urgent_signals() & signal_bit(signal)) {
    this_thread().blocked |= block_in_kernel(0) & signal_bit(signal);
    unblock_in_kernel(signal_bit(signal));
  }
}

namespace {

void learn_libc_restorer() {
  Disposition inherited{};
  kernel_sigaction(SIGSEGV, nullptr, &inherited);
  struct sigaction through_libc {};
  through_libc.sa_handler = SIG_DFL;
  selfheal_next_sigaction(SIGSEGV, &through_libc, nullptr);
  Disposition seen{};
  kernel_sigaction(SIGSEGV, nullptr, &seen);
  set_libc_restorer(seen.restorer);
  kernel_sigaction(SIGSEGV, &inherited, nullptr);
}

}  // namespace

bool install(const Hooks& wanted) {
  resolve_all_next();
  if (!prepare_threads()) {
    return false;
  }
  learn_libc_restorer();
  installed_hooks = wanted;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    take_over(signal);
  }
  return true;
}

bool watch_traps() {
  if (!is_handled(SIGTRAP)) {
    take_over(SIGTRAP);
  }
  return true;
}

}  // namespace selfheal::probes
