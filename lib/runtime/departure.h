// Leaving frames for good after a first fault (mode=eager): their clean-ups run, innermost first,
// and the thread goes on in the caller of the outermost.
//
//   fault ─► handler: where does each frame clean up? where does its caller go on?
//              │ sigreturn
//              ▼
//            landing pad of frame 0 ── _Unwind_Resume ───────► next ─┐
//            clean-up buffer of frame 2 ◄────────────────────────────┘
//                                   ── __pthread_unwind_next ► next ─► locks that are still held
//                                   are
//                                                                      released, and the caller
//                                                                      goes on with its value
//
// The pads are exceptions': each runs the destructors of its frame and then asks the unwinder to go
// on. That is told, in the exception we hand to the pads, that it is a forced unwind with a stop
// function of ours (Itanium C++ ABI: Exception Handling, 1.6.2: private_1 and private_2 of
// _Unwind_Exception; libgcc and LLVM's libunwind agree), which knows better where to go than it
// does: frames that the compiler thought could not throw, noexcept ones, and those that would catch
// are passed over instead of ending the program.
//
// What a pad cleans up is what is alive where its call site is: a lock_guard unlocks, a file is
// closed, memory is freed. C has its handlers (cleanup_handlers.h), and its locks are known
// (held_locks.h). What the functions changed otherwise stays changed. A pad that faults itself is a
// fault like any other.
#pragma once

#include <span>

#include "lib/recover/unwind.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// At start-up, where the mode is eager: before other threads exist, and under runtime.changing.
void prepare_departures();

// All but the last of `frames` are left; the last goes on with `value` in rax. Changes `signal` to
// that end, and says how many clean-ups will run and how many locks are held, which a clean-up may
// release before. Without `room` on the stack for the frames' code none runs. All callee-saved
// registers of the last frame are known. Signal-safe.
unsigned depart(std::span<const recover::Frame> frames, bool room, u64 value, int error_number,
                probes::SignalContext& signal);

}  // namespace selfheal::runtime
