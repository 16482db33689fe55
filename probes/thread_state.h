// What the probes know of a thread, in initial-exec thread-local memory: no allocation, readable in
// a signal handler, all zero but one word for a thread nobody told us of.
#pragma once

#include <signal.h>

#include "lib/base/types.h"
#include "probes/classify.h"
#include "probes/hooks.h"

namespace selfheal::probes {

// One run of an application handler that has not come back yet.
struct HandlerRun {
  u64 frame;             // address of the signal frame it runs above
  u64 blocked_before;    // Thread::blocked when it was entered
  stack_t kernel_stack;  // alternate stack to be restored by rt_sigreturn
  void* ends;            // pending token of which the process ends even if the handler returns
};

struct Thread {
  // Offsets of the first four are known to forwards.S and resume.S.
  u64 progress = 0;     // blocking calls made
  u64 guard = 0;        // stack pointer of the innermost guarded call; 0: none
  u64 vfork_depth = 0;  // > 0: we are a vfork child
  u64 seen = 0;         // value of the generation word that was acted upon
  u64 own_stack = 0;    // low end of our alternate stack; 0: none
  u64 blocked = 0;      // urgent signals the application believes to be blocked
  u64 deferred = 0;     // those of them sent since, which therefore are blocked in the kernel
  stack_t application_stack = {nullptr, SS_DISABLE, 0};  // as the kernel would keep it
  StackRange stack = {0, 0};
  SignalContext* handling = nullptr;  // the fault a hook is looking at right now
  void* pending = nullptr;            // token of `prepare`
  const char* abort_text = nullptr;   // what an assertion said that is failing right now
  static constexpr u32 max_runs = 8;
  u32 runs = 0;  // nested application handlers; those beyond max_runs are counted, not kept
  HandlerRun run[max_runs] = {};

  bool on_own_stack(u64 address) const {
    return own_stack != 0 && address - own_stack < alternate_stack_size;
  }
  bool has_application_stack() const { return application_stack.ss_size != 0; }
  bool on_application_stack(u64 address) const {
    return address - address_of(application_stack.ss_sp) < application_stack.ss_size;
  }
};

static_assert(offsetof(Thread, progress) == 0);
static_assert(offsetof(Thread, guard) == 8);
static_assert(offsetof(Thread, vfork_depth) == 16);
static_assert(offsetof(Thread, seen) == 24);

// The C name is for assembly.
extern "C" constinit thread_local Thread selfheal_probe_thread
    __attribute__((visibility("hidden")));

inline Thread& this_thread() {
  return selfheal_probe_thread;
}

// Signals are named by their bit in the kernel's 64-bit mask.
inline constexpr u64 signal_bit(int signal) {
  return u64{1} << (signal - 1);
}

// The first word of glibc's 1024-bit set is all the kernel knows.
inline u64& mask_word(sigset_t& set) {
  return reinterpret_cast<u64&>(set);
}
inline u64 mask_word(const sigset_t& set) {
  return reinterpret_cast<const u64&>(set);
}
inline constexpr u64 kernel_mask_size = 8;

// Signals whose kernel handler is ours.
u64 handled_signals();
inline bool is_handled(int signal) {
  return signal >= 1 && signal <= 64 && (handled_signals() & signal_bit(signal)) != 0;
}

// Those of them that the processor raises: blocked, they would kill without asking a handler, so
// they never enter the kernel's masks. SIGABRT is only ever sent: it may be blocked like others.
inline u64 urgent_signals() {
  return handled_signals() & ~signal_bit(SIGABRT);
}

// What of a mask the application sets goes to the kernel.
inline u64 kernel_part(u64 mask) {
  return mask & ~(urgent_signals() & ~this_thread().deferred);
}

const Hooks& hooks();

}  // namespace selfheal::probes
