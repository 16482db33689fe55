// The record of a fault that the application's own handler is dealing with: it counts only if the
// process ends because of it. See Hooks::prepare and Hooks::commit.
#pragma once

#include "probes/hooks.h"

namespace selfheal::probes {

void prepare_pending(const Fault& fault, SignalContext& signal);

// The process is ending: this thread's prepared record, or else the process's latest, is real.
// False: there is none (any more).
bool commit_pending();

// Does the process end of this thread's prepared fault whatever its handler does, short of a jump
// (hooks.h, ends_anyway)? Then its token, else null; the other makes it real.
void* certain_pending();
void commit_if_certain();

// A signal of ours was sent, and its default action is about to end the process: is that a crash
// handler passing on what it got? Handlers do it by kill (any thread may take it) or raise.
bool commit_pending_for(const SignalContext& sent);

// The fault turned out to be something else than what was prepared; or we are a fork child.
void forget_pending();

}  // namespace selfheal::probes
