// From a fault and a stack to a record: what happened, where, and whose function is to blame.
//
// A pure function of its arguments (the idea of GWP-ASan's diagnosis: plain state in, report out),
// so it is tested on made-up faults. Signal-safe when the ImageView is.
#pragma once

#include <span>

#include "lib/base/fault.h"
#include "lib/base/record.h"
#include "lib/recover/image_view.h"
#include "lib/recover/recursion.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

// The faulting instruction says more than the signal: a non-canonical address comes with si_addr 0
// and no access kind, SIGFPE does not say whether it was the integer divider. Returns `fault` with
// kind, access and address refined from the instruction's bytes; unchanged when nothing can be
// told.
Fault refine(const Fault& fault, std::span<const u8> instruction);

// Where in a stack's frames a recursion is.
struct RecursionFrames {
  Recursion recursion;
  unsigned blamed;  // index of recursion.blamed
  u32 left_out;     // frames in front of it that are not among them
  u64 used;         // bytes of stack
};

// A walked stack has more frames than a record: keeps the innermost ones, and those from the blamed
// activation outwards. `frames` holds `count` frames as `unwind` gave them, and at least as many as
// it can. Returns how many it holds then.
unsigned keep_both_ends(const StackBounds& bounds, std::span<Frame> frames, unsigned count,
                        RecursionFrames& recursion);

// Fills every byte of `record` but time_ns, pid and tid. `frames` is what `unwind` gave for
// fault.registers.
//
// Blame: the innermost frame whose module is not a system library and whose function is known and
// can return. For exec_violation (a call or jump through a bad pointer) the frame that called is
// blamed, and the site is that call. A fault in a cold part belongs to the parent function.
//
// stack_exhaustion by a recursion: `recursion` says who is to blame, and which of `frames` is its
// outermost activation; frames may have been left out in front of that.
//
// `from`, where it is given: the fault is not where the thread stopped, but in the activation of
// that frame (a loop that was found in one of its callees): the site is its call, and blame begins
// there.
void diagnose(const Fault& fault, std::span<const Frame> frames, const ImageView& image,
              FaultRecord& record, const RecursionFrames* recursion = nullptr, unsigned from = ~0U);

}  // namespace selfheal::recover
