// The record of a fault that the application's own handler is dealing with: it counts only if the
// process ends because of it. See Hooks::prepare and Hooks::commit.
//
// A crash handler sets the default action, sends the signal to the whole process, and returns. Then
// two threads are about to end the process, and whoever is later must neither make a record of its
// own, nor end the process while the other one is still writing:
//
//      the thread that faulted                      whichever thread the signal goes to
//
//      prepare_pending            prepared
//      handler: kill(getpid()) ──────┼────────────► commit_pending_for
//      handler returns               │                 │ prepared: writes, dies
//      faults again: claim_pending   │                 │ being written: goes on, the other dies
//         │ prepared: records        ▼                 │ written: dies
//         │ written: nothing    being written
//         ▼                          ▼
//      settle_pending, dies       written
//
// Only where the fault comes again while the other thread is at it, is it written down twice: to
// wait for that thread would be a lock.
#pragma once

#include "probes/hooks.h"

namespace selfheal::probes {

enum class PendingRecord : u8 { none, being_written, written };

void prepare_pending(const Fault& fault, SignalContext& signal);

// The process is ending: this thread's prepared record, or else the process's latest, is real.
// `being_written`: another thread has said so, and has not come to the end of it.
PendingRecord commit_pending();

// Does the process end of this thread's prepared fault whatever its handler does, short of a jump
// (hooks.h, ends_anyway)? Then its token, else null; the other makes it real.
void* certain_pending();
void commit_if_certain();

// A signal of ours was sent, and its default action is about to end the process: is that a crash
// handler passing on what it got? Handlers do it by kill (any thread may take it) or raise.
PendingRecord commit_pending_for(const SignalContext& sent);

// This thread's fault has come to the default action, and is recorded anew between these two.
// False: another thread has written it down already.
bool claim_pending();
void settle_pending();

// The fault turned out to be something else than what was prepared, or its thread is gone.
void forget_pending();

// We are a fork child: the faults of all threads are the parent's.
void forget_pending_of_parent();

}  // namespace selfheal::probes
