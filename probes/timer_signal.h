// The one real-time signal by which all of our timers reach a thread.
//
// It is handled like the fatal signals (fault_signals.cpp): our handler stays installed, the signal
// is never blocked in the kernel, and the application is shown what it set. A program that uses the
// very number gets its own handler called for what it sends itself; what a timer of ours sends is
// told from that by the timer's id and never reaches it. So the number need not be fought about,
// but one that nobody wants is better: programs count from SIGRTMIN up and from SIGRTMAX down, so
// ours is looked for from the middle.
#pragma once

#include <signal.h>

namespace selfheal::probes {

// Takes a signal that has the default action. Once, at start-up, before other threads exist; again
// is cheap. False: none is free.
bool take_timer_signal();

// 0: none was taken. Any thread, any context.
int timer_signal();

// Sent by a timer with this kernel id?
inline bool sent_by_timer(const siginfo_t& info, int id) {
  return info.si_code == SI_TIMER && info.si_timerid == id;
}

}  // namespace selfheal::probes
