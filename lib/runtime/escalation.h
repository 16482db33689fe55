// When a heal leads to the next fault.
//
//   stack                    regions on it        what happens
//   handle                   further out, ready   ◄ 2  all that it did is taken back, it fails
//     parse                  further out, ready         (or parse does, if 2 is in there)
//       find ◄ 1  healed     the region                 and only then handle
//       use  ◄ 2  faults     none
//
// The caller of a healed function may come to grief with what it got. That is another fault, in
// another function, but not its fault: the heal did not stick, and the next level (store/levels.h)
// would have been the better one. As long as a region is not known to heal well, the functions of
// its further levels are patched too (rescue_points.h), so that this next level can fail at once,
// and the one after that if need be, until the request is refused or nobody is left.
//
// The engine sees the second fault as it saw the first: all of the outer function runs in it. The
// price is that it runs there each time it is called, until a few heals have stuck. So that a fault
// that does not come again does not cost that for ever, a process that has called such a function
// 10,000 times since there was news of the store leaves it alone.
#pragma once

#include "emulator/thread.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

struct Escalated {
  const Region* of;     // whose heal did not stick; null: none of those that the thread is in
  const Region* fails;  // the function further out
  u32 outwards;         // its activation
  u8 level;

  bool any() const { return of != nullptr; }
};

// The thread has faulted; `ruling` is the activation whose region would heal it, or -1. No system
// call, no lock.
Escalated escalate(const emulator::Thread& thread, i32 ruling);

// The thread was healed and is to go on in the engine. That may also be into a loop that does not
// end: where it could escalate it has so many instructions, and no more.
void limit_what_follows(emulator::Thread& thread);

}  // namespace selfheal::runtime
