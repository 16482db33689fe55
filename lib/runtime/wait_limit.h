// Cuts a system call short when a region's time budget has run out.
//
// A timer for each thread that needs one, which sends it the timer signal (probes/timer_signal.h).
// SIGALRM and the itimers are the program's.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "lib/base/types.h"

namespace selfheal::runtime {

// For emulator::Config. On a thread whose system calls a filter forbids to be timed: nothing.
void begin_wait(u64 deadline);
void end_wait();

// The timer signal: true when it was sent by this thread's timer.
bool on_wait_timer(const siginfo_t& info, ucontext_t& context);

// At the thread's end, and in a fork child, which has no timers.
void delete_wait_timer();
void forget_wait_timer();

}  // namespace selfheal::runtime
