// How an interrupted thread goes on: by rt_sigreturn, or in user mode where a filter forbids it.
// DESIGN.md, invariant 1.
#pragma once

#include "probes/hooks.h"

namespace selfheal::probes {

// Goes on with signal.context. Returns when rt_sigreturn is allowed: the entry code makes it.
// Otherwise does not return. `mask_changed`: the context's mask is not the one in force.
void resume(SignalContext& signal, bool mask_changed);

// The process ends as it would have ended without us: the same signal, siginfo and registers.
// May return; then the return from the signal handler is what kills.
void die(SignalContext& signal);

}  // namespace selfheal::probes
