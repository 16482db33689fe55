// Walks a stopped thread's stack by DWARF call frame information.
//
// Made for a thread that has just faulted, so nothing on its stack is believed: each load is
// checked against the thread's stack bounds, each frame must lie above the one before, each return
// address must lie in executable code, and CFI tables are read through lib/image's checks. A bad
// frame ends the walk; it never faults, allocates, locks or makes a system call. Usable in a signal
// handler.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/base/registers.h"
#include "lib/recover/call_sites.h"
#include "lib/recover/stack.h"

namespace selfheal::recover {

// What a function keeps for its caller (System V ABI, 3.2.1), as bits of Frame::known.
inline constexpr u16 callee_saved =
    1u << rbx | 1u << rbp | 1u << r12 | 1u << r13 | 1u << r14 | 1u << r15;

// One activation. frames[0] is where the thread stopped. frames[n].registers are what the caller
// has right after frames[n-1] returns to it: rip is the return address, rsp is above it, and the
// callee-saved registers are restored; the other registers are not known.
struct Frame {
  Registers registers;
  u16 known;   // bit i: gpr[i] holds what the frame had
  bool exact;  // rip is an instruction about to run (first frame, or interrupted by a signal), not
               // a return address; look up functions at rip, else at rip - 1
  u64 lookup_address() const { return exact ? registers.rip : registers.rip - 1; }
};

// The caller of `inner`. False at the outermost frame (undefined return address) and at any frame
// that cannot be trusted. `known`, where given, is asked first and learns.
bool step(const Frame& inner, const StackBounds& bounds, Frame& outer, CallSites* known = nullptr);

// Is the code in front of this address a call?
bool follows_a_call(u64 return_address);

// Fills `frames` from the innermost outwards and returns how many; at least 1 (frames[0] is `start`
// itself). When rip is not in executable code (a call or jump through a bad pointer), or is but has
// no CFI and is entered by a call, the caller is taken from [rsp].
unsigned unwind(const Registers& start, const StackBounds& bounds, std::span<Frame> frames);

}  // namespace selfheal::recover
