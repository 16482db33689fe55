// From a fault and a stack to a record: what happened, where, and whose function is to blame.
//
// A pure function of its arguments (the idea of GWP-ASan's diagnosis: plain state in, report out),
// so it is tested on made-up faults. Signal-safe when the ImageView is.
#pragma once

#include <span>

#include "lib/base/fault.h"
#include "lib/base/record.h"
#include "lib/recover/image_view.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

// The faulting instruction says more than the signal: a non-canonical address comes with si_addr 0
// and no access kind, SIGFPE does not say whether it was the integer divider. Returns `fault` with
// kind, access and address refined from the instruction's bytes; unchanged when nothing can be
// told.
Fault refine(const Fault& fault, std::span<const u8> instruction);

// Fills every byte of `record` but time_ns, pid and tid. `frames` is what `unwind` gave for
// fault.registers.
//
// Blame: the innermost frame whose module is not a system library and whose function is known. For
// exec_violation (a call or jump through a bad pointer) the frame that called is blamed, and the
// site is that call. A fault in a cold part belongs to the parent function.
void diagnose(const Fault& fault, std::span<const Frame> frames, const ImageView& image,
              FaultRecord& record);

}  // namespace selfheal::recover
