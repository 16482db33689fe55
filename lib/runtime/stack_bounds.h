// How far up a stack may be read while it is walked.
#pragma once

#include "lib/base/fault.h"
#include "lib/recover/unwind.h"

namespace selfheal::runtime {

// Bounds for a walk that starts at `sp` on the calling thread, without a system call. glibc puts a
// thread's control block (the thread pointer) at the top of its stack, also of one the program
// brought itself; the main thread's stack ends at what ld.so was started on. A stack that is
// neither (makecontext, a coroutine) gets a small window: what lies beyond may not be mapped.
recover::StackBounds stack_bounds(u64 sp);

// The same, for a walk of all of a stack that has been used up. What is known of no stack goes on
// until it faults: run it guarded.
recover::StackBounds whole_stack_bounds(u64 sp);

// Is the fault an access next to the stack pointer, and not beyond the stack's beginning?
bool next_to_stack_pointer(const Fault& fault);

// Remembers where the main thread's stack ends. In the constructor.
void learn_main_stack(const char* const* environment);

}  // namespace selfheal::runtime
