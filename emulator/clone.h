// The system calls after which there are two of the guest: fork, vfork, clone, clone3.
//
//   what they share    where the child goes on           the parent
//   nothing (fork)     in the engine, with its own        in the engine
//                      copy of log and stacks
//   memory and stack   natively, with the guest's         waits in the kernel (CLONE_VFORK), then
//   (vfork)            registers, on the guest's stack    in the engine
//   memory (thread,    natively, with the guest's         in the engine
//   posix_spawn)       registers, on its new stack
//
// A child on a stack of its own can never return from the region, and so is outside of it at once,
// also when its memory is a copy.
#pragma once

#include "emulator/effect_result.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// Does rax name one of them?
bool is_clone(const Thread& thread);

// Makes the call for the guest, which stands at its `syscall` instruction, just before `next_rip`.
// `done` in the parent, and in a child that goes on in the engine. `unsupported`: what the child
// would share with us is our own state (its thread pointer is this thread's, and both would run).
EffectResult clone_guest(Thread& thread, u64 next_rip);

}  // namespace selfheal::emulator
