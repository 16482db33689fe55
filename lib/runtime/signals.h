// Signals that find a thread in the engine: its application's handlers run natively, with the
// application's context, while the activation waits for them.
//
//   signal ──► on_thread_signal ──► the application's own code: the handler runs, as ever
//                  │
//                  ├─ the engine is at work: the signal is kept, all others are blocked
//                  │     next block edge ► Stop::signal ► run_kept_handler ──┐
//                  │                                                         ▼
//                  └─ a library's code, called for the guest: at once ─► handler, on the guest's
//                        (it may be what that code waits for)             stack; frame: the guest
//                                                                            │
//   on_handler_returned ◄────────────────── returns ─────────────────────────┤
//     guest := frame; resume trampoline ► emulator::resume                   │
//                                                                            │
//   on_stack_left, or the next call of a region ◄─ longjmp, exception ───────┘
//     the activation is over: committed
//
// What a handler writes is not in the undo log: it is another activity, as a thread would be.
// Where a seccomp filter forbids rt_sigreturn no handler can return, natively either; signals then
// are delivered where they arrive.
#pragma once

#include "emulator/thread.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// Of the memory each thread has for a kept signal (emulator::Config::signal_area_size).
u64 signal_area_size();

probes::Frame* on_thread_signal(const probes::Arrival& arrival);
ucontext_t* on_handler_returned(ucontext_t* context);
void on_stack_left(u64 stack_pointer);

// Starts the kept signal's handler with the guest's context: to come back to the activation, or
// for good, with the thread outside of the engine. The guest's vector registers are in the kept
// frame already.
[[noreturn]] void run_kept_handler(emulator::Thread& thread, bool come_back);

}  // namespace selfheal::runtime
