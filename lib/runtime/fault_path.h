// From a signal to a record: what the probes' hooks do. All of it runs in a signal handler, on the
// thread's alternate stack; none of it allocates, locks or, until a report is printed, makes a
// system call.
#pragma once

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

// A fault that is seen in ordinary context, before or without a signal: in the call that returns to
// `site`, or on the callers' part (`alone`: of another thread or time, only the site is known).
// Recorded and reported; what becomes of the process is the caller's to say.
enum class Witness : u8 { caller, alone };
void record_call_fault(const Fault& fault, u64 site, Witness witness);

// The calling thread ends the process by abort() because of a fault that has been recorded.
void expect_abort();

}  // namespace selfheal::runtime
