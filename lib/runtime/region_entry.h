// The way into the engine: what a patched function's stub jumps to on this thread.
#pragma once

#include "emulator/thread.h"
#include "lib/base/types.h"

namespace selfheal::runtime {

// Distance of the thread-local jump target from the thread pointer, for the stubs.
i32 enter_target_offset();

// The enter trampoline calls this on the engine's stack; see the head of region_entry.cpp.
void run_region();

// The trampolines call these, on the engine's stack: a signal handler has returned to the
// activation; and, with the guest ready to leave, a signal waits (does not return).
void resume_region();
void deliver_signal();

// What the stubs jump to on the calling thread.
enum class Entry : u8 {
  closed,     // regions run natively: the thread is in the engine, or has none
  open,       // into the engine
  suspended,  // natively, unless the handler above a suspended activation has been left
};
void set_entry(Entry entry);

// Commits an activation whose handler was left by other means than returning, if there is one.
void end_abandoned(emulator::Thread& thread);

// Gives the calling thread its engine state, so that its calls of regions enter the engine; once is
// enough, again is cheap. Maps memory, so not for signal handlers. False: they go on running
// natively.
bool protect_thread();

// Takes it back at the thread's end.
void unprotect_thread();

}  // namespace selfheal::runtime
