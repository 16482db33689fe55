// mode=eager: going on after a *first* fault, by unwinding.
//
// There was no engine and so there is no undo log: what the function wrote stays written. What its
// frames would clean up when an exception passes is cleaned up (departure.h), so locks and memory
// held by C++ objects are given back; a lock that C code took stays taken. A user asks for this
// when any answer is better than none. The callers' registers come from the walk that diagnosed the
// fault; the function is patched at once, so that its next fault is healed with rollback.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/recover/unwind.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// Changes `signal` so that it goes on behind the blamed function's call. False: not this mode, not
// this fault, or the callers' registers are not all known; nothing was changed.
bool recover_eagerly(const FaultRecord& record, std::span<const recover::Frame> frames,
                     probes::SignalContext& signal);

}  // namespace selfheal::runtime
