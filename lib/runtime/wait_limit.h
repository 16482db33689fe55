// Cuts a system call short when a region's time budget has run out.
//
// A timer for each thread that needs one, which sends the thread a real-time signal that nobody
// else has a handler for: the highest such when it is first needed, and another one when the
// program takes it. (SIGALRM and the itimers are the program's.)
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// For emulator::Config. On a thread whose system calls a filter forbids to be timed: nothing.
void begin_wait(u64 deadline);
void end_wait();

// At the thread's end, and in a fork child, which has no timers.
void delete_wait_timer();
void forget_wait_timer();

}  // namespace selfheal::runtime
