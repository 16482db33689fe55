// The way into the engine: what a patched function's stub jumps to on this thread.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// Distance of the thread-local jump target from the thread pointer, for the stubs.
i32 enter_target_offset();

// The enter trampoline calls this on the engine's stack; see the head of region_entry.cpp.
void run_region();

// Gives the calling thread its engine state, so that its calls of regions enter the engine; once is
// enough, again is cheap. Maps memory, so not for signal handlers. False: they go on running
// natively.
bool protect_thread();

// Takes it back at the thread's end.
void unprotect_thread();

}  // namespace selfheal::runtime
