#include "probes/asynchronous.h"

#include <atomic>
#include <string.h>

#include "probes/interpose.h"
#include "probes/kernel.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

extern "C" {
void selfheal_asynchronous_entry();
void selfheal_kept_handler_return();
[[noreturn]] void selfheal_return_to(ucontext_t* context);
}

constinit std::atomic<u64> handlers[65]{};
constinit std::atomic<bool> wrapping{false};

u64 entry() {
  return address_of_function(&selfheal_asynchronous_entry);
}

// A handler set at the same time by another thread wins: it has wrapped itself.
void adopt(int signal) {
  Disposition d{};
  if (!kernel_sigaction(signal, nullptr, &d) || !d.has_handler() || d.handler == entry()) {
    return;
  }
  u64 none = 0;
  if (handlers[signal].compare_exchange_strong(none, d.handler)) {
    d.handler = entry();
    kernel_sigaction(signal, &d, nullptr);
  }
}

bool is_ours_or_urgent(int signal) {
  return is_handled(signal) || (all_but_urgent_signals() & signal_bit(signal)) == 0;
}

}  // namespace

void wrap_handlers() {
  if (wrapping.exchange(true) || in_vfork_child()) {
    return;
  }
  for (int signal = 1; signal <= 64; ++signal) {
    if (!is_ours_or_urgent(signal)) {
      adopt(signal);
    }
  }
}

bool needs_wrapping(int signal) {
  return wrapping.load(std::memory_order_relaxed) && application_handler(signal) == 0;
}

void adopt_handler(int signal) {
  adopt(signal);
}

void wrap_handler(int signal, struct sigaction& wanted) {
  const u64 handler = address_of_function(wanted.sa_handler);
  if (handler > 1 && wrapping.load(std::memory_order_relaxed) && !is_ours_or_urgent(signal)) {
    handlers[signal].store(handler);
    wanted.sa_handler = pointer_to<void(int)>(entry());
  }
}

u64 application_handler(int signal) {
  return handlers[signal].load(std::memory_order_relaxed);
}

void unwrap_handler(struct sigaction& reported, u64 handler) {
  if (address_of_function(reported.sa_handler) == entry()) {
    reported.sa_handler = pointer_to<void(int)>(handler);
  }
}

u64 current_mask() {
  return block_in_kernel(0);
}

u64 all_but_urgent_signals() {
  constexpr int setxid = 33;
  return ~(urgent_signals() | signal_bit(setxid));
}

u64 kept_handler_return() {
  return address_of_function(&selfheal_kept_handler_return);
}

void return_to(ucontext_t& context) {
  selfheal_return_to(&context);
}

// The floating-point state of a handler's start is the initial one (fpu__clear_user_states,
// arch/x86/kernel/fpu/core.c), which a context without any stands for.
void start_handler(Frame& frame, int signal, u64 handler, u64 mask) {
  constexpr greg_t direction_trap_resume = 0x400 | 0x100 | 0x10000;
  Frame start;
  memcpy(start.context_bytes, frame.context_bytes, sizeof start.context_bytes);
  ucontext_t& context = *start.context();
  context.uc_mcontext.fpregs = nullptr;
  greg_t* registers = context.uc_mcontext.gregs;
  registers[REG_RDI] = signal;
  registers[REG_RSI] = static_cast<greg_t>(address_of(&frame.info));
  registers[REG_RDX] = static_cast<greg_t>(address_of(frame.context()));
  registers[REG_RAX] = 0;
  registers[REG_RSP] = static_cast<greg_t>(address_of(&frame));
  registers[REG_RIP] = static_cast<greg_t>(handler);
  registers[REG_EFL] &= ~direction_trap_resume;
  mask_word(context.uc_sigmask) = mask;
  return_to(context);
}

struct Start {
  Frame* frame;  // null: return from the kernel's
  u64 handler;
};

extern "C" __attribute__((visibility("hidden"))) Start selfheal_on_asynchronous(int signal,
                                                                                Frame* frame) {
  const u64 handler = application_handler(signal);
  if (hooks().thread_signal != nullptr) {
    frame = hooks().thread_signal({signal, handler, frame, wants_alternate_stack(signal), false});
  }
  return {frame, handler};
}

extern "C" __attribute__((visibility("hidden"))) ucontext_t* selfheal_on_kept_handler_return(
    ucontext_t* context) {
  return hooks().handler_returned(context);
}

}  // namespace selfheal::probes
