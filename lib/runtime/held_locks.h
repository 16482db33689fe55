// Which locks a frame holds that is left for good after a first fault (mode=eager). Nobody else
// would release them: C has no clean-ups.
//
//   pthread_mutex_lock ──diverted──► noted: lock, return address, rsp, rbp of the call
//   pthread_mutex_unlock ──────────► taken off the list
//   fault ─► frames to be left: is the call one of this very activation (same function, same CFA)?
//              │
//              └─► then the lock is its own, and is released when it is gone
//
// A lock taken through a function that has returned meanwhile (a wrapper of the program's) cannot
// be told from one that a surviving caller took in the same way: it stays held. So do the locks of
// stdio, spin locks, and what is locked by hand.
#pragma once

#include <span>

#include "lib/recover/unwind.h"

namespace selfheal::runtime {

// Before other threads exist, in mode eager only: every lock costs a nanosecond or two from now on.
// Under runtime.changing.
void watch_locks();

// Of the calling thread's: those that frames[0] .. frames[size - 2] took, newest first. How many of
// `found` were filled in. Signal-safe; unwinds one step for each lock held.
unsigned locks_held_by(std::span<const recover::Frame> frames, std::span<u64> found);

// Unless it has been released since. Not in a signal handler.
void release_lock(u64 lock);

}  // namespace selfheal::runtime
