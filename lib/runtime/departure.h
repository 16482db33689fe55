// Leaving frames for good after a first fault (mode=eager): their clean-ups run, innermost first,
// and the thread goes on in the caller of the outermost.
//
//   fault ─► handler: where does each frame clean up? where does its caller go on?
//              │ sigreturn
//              ▼
//            landing pad of frame 0 ── _Unwind_Resume ─► on_next ─┐
//            landing pad of frame 2 ◄─────────────────────────────┘
//                                   ── _Unwind_Resume ─► on_next ─► the caller, with its value
//
// The pads are exceptions': each runs the destructors of its frame and then asks the unwinder to go
// on. That is told, in the exception we hand to the pads, that it is a forced unwind with a stop
// function of ours (Itanium C++ ABI: Exception Handling, 1.6.2: private_1 and private_2 of
// _Unwind_Exception; libgcc and LLVM's libunwind agree), which knows better where to go than it
// does: frames that the compiler thought could not throw, noexcept ones, and those that would catch
// are passed over instead of ending the program.
//
// What a pad cleans up is what is alive where its call site is: a lock_guard unlocks, a file is
// closed, memory is freed. What the functions changed otherwise stays changed. A pad that faults
// itself is a fault like any other.
#pragma once

#include <span>

#include "lib/recover/unwind.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// At start-up, where the mode is eager.
void find_personalities();

// All but the last of `frames` are left; the last goes on with `value` in rax. Changes `signal` to
// that end, and says how many frames will clean up. All callee-saved registers of the last frame
// are known. Signal-safe.
unsigned depart(std::span<const recover::Frame> frames, u64 value, int error_number,
                probes::SignalContext& signal);

// The same at once, with no clean-up.
void go_on_at(const recover::Frame& frame, u64 value, int error_number,
              probes::SignalContext& signal);

}  // namespace selfheal::runtime
