// Changing code that other threads may be executing.
//
// No store of 5 bytes is known to be seen whole: /proc/self/mem promises nothing (the kernel's copy
// may be `rep movsb`), and Intel (SDM vol. 3, 8.1.3) and AMD (APM vol. 2, 7.6.1) promise cross-
// modifying code only with a serialising instruction on the executing side. So, as the kernel's
// text_poke_bp does:
//
//      step 0   55 48 89 e5 41      original
//      step 1   cc 48 89 e5 41      one byte: atomic; membarrier(SYNC_CORE) makes every core
//                                   serialise before it runs this process's code again.
//                                   From here on nobody gets past byte 0: hitters take SIGTRAP and
//                                   are sent to the stub by the handler.
//      wait     until every thread has been seen outside of bytes 1..4 once: a grace period
//      step 2   cc xx xx xx xx      the tail; membarrier
//      step 3   e9 xx xx xx xx      one byte again; membarrier
//
// Why it is sound. After step 1, a thread can be inside [1,4] only if it got past byte 0 before: no
// branch of the function leads there and no call returns there (plan.h refuses those). So the set
// of threads inside only shrinks, and seeing each thread outside once is enough, at different
// times. A patch that replaces a single instruction has no inside, and does not wait at all.
//   A thread has been seen outside when /proc/self/task/T/syscall names a system call it is blocked
// in, its program counter is elsewhere, and no signal frame on the top of its stack goes back
// inside; or when it has ended. "running" is unknown: the int3 stays, which is correct if slow, and
// a later occasion (the runtime's blocking calls) looks again. A thread that waits in vfork or
// clone is unknown: its child may run on our memory.
//   Going back from e9 to the original runs the same steps without waiting: nobody can stand inside
// a jump.
// Known limit: a program that stores a signal's context away and resumes it later (preemptive user
// threads built on swapcontext in a handler) while a patch is pending.
#pragma once

#include "lib/patch/plan.h"

namespace selfheal::patch {

// Registers this process for the barrier, and does one. False: not available (before Linux 4.16, a
// sandbox).
bool ready_barrier();

// Step 1.
Refusal place_trap(u64 at);

// Steps 2 and 3, with `bytes` (jump_size) for what is meant to be there. The int3 is in place.
Refusal complete(u64 at, const u8* bytes);

// Back from an int3 whose tail is still the original.
Refusal replace_trap(u64 at, u8 original);

}  // namespace selfheal::patch
