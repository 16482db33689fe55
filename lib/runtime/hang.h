// Loops that never come back: which thread hangs, and in what.
//
//   a tick each 1/40 of hang-seconds of a thread's own user time        probes/cpu_timer.h
//     │
//     ├─ it has made a blocking call since: healthy. Its stretches of computing are measured.
//     │
//     ├─ not for a while: only counted
//     │
//     └─ not for hang-seconds, and for 10 times its longest stretch so far:
//          its stack is looked at, 16 ticks long; what all looks share is where it is stuck
//            └─ diagnose ─► alarm in the journal ─► taken back if the thread makes progress after
//                                                   all; a fault when its process ends in it
//
// A long computation looks exactly like a loop that does not end. What tells them apart is what the
// thread is for, and what it did so far; the rules, with reasons, are in docs/faults.md ("Hangs").
//
// State is in the thread's own memory (probes::thread_area): nothing is shared but two counters.
#pragma once

#include "lib/runtime/stack_looks.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

class Service;

// In the constructor, on the main thread.
void start_hang_watch();

// On a new thread, and in a fork child, whose timer was its parent's.
void watch_thread();
void watch_after_fork();

// The thread, or by its doing the process, ends in good order: then it did not hang.
void end_watch();

// Ordinary context, at a blocking call: takes an alarm back, learns the thread's service loop.
// False: wants to be asked at the next call again.
bool note_service();

// Of the calling thread; null: it is not watched.
const Service* service_of_thread();

// Is this surely an activation of the calling thread's service loop? Signal-safe.
bool is_of_service(const Activation& activation);

// For probes::Hooks::timer.
bool on_timer(probes::SignalContext& signal);

}  // namespace selfheal::runtime
