// From a signal to a record: what the probes' hooks do. All of it runs in a signal handler, on the
// thread's alternate stack; none of it allocates, locks or, until a report is printed, makes a
// system call.
#pragma once

#include <span>

#include "lib/recover/unwind.h"
#include "lib/runtime/stack_looks.h"
#include "lib/store/journal.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// The engine's own faults, and int3 entry patches.
bool on_thread_fault(probes::SignalContext& signal);

// Nobody handles it: diagnose, journal, report; with mode=eager also recover by unwinding.
probes::Verdict on_fault(const Fault& fault, probes::SignalContext& signal);

// The application's own handler is asked first: its fault is written down only when the process
// dies of it.
void* on_prepare(const Fault& fault, probes::SignalContext& signal);
void on_commit(void* token);
bool on_ends_anyway(void* token);
// At the thread's end.
void forget_prepared();

// What was seen of a thread that had no fault of its own: it is recorded, and the thread goes on.
struct Seen {
  Fault fault;  // kind and what else is known; the registers are taken from frames[0]
  std::span<const recover::Frame> frames;  // from the activation in question outwards
  bool attributed;                         // frames[0] may be blamed, or its first healable caller
  u32 samples;
  u64 used;
  const char* message;  // nullptr: none
};
void record_seen(const Seen& seen);

// A fault that is seen in ordinary context, before or without a signal: in the call that returns to
// `site`, or on the callers' part (`alone`: of another thread or time, only the site is known).
// Recorded and reported; what becomes of the process is the caller's to say.
enum class Witness : u8 { caller, alone };
void record_call_fault(const Fault& fault, u64 site, Witness witness);

// The calling thread ends the process by abort() because of a fault that has been recorded.
void expect_abort();

// A thread is stuck in `loop`, an activation on its stack.
struct Hang {
  Fault fault;  // kind, and the thread's registers
  Activation loop;
  u64 used;   // FaultDetail
  u32 looks;  //
  bool alarm;
  bool (*belongs_to_service)(const Activation&);
};

// Writes it down unless nobody can be blamed: the activation is the thread's or the program's main
// function, belongs to its service loop, or is of no function that is known. The journal's ticket
// for an alarm is in `ticket`.
bool record_hang(const Hang& hang, store::Ticket& ticket);

}  // namespace selfheal::runtime
