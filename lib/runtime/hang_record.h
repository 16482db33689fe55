// What becomes of a thread that is found stuck, by its own timer (hang.h) or from outside
// (asked.h).
//
//   stuck in an activation ─► its function, if somebody can be blamed ─► alarm, or fault, in the
//                                                                       journal
//   waits, or nobody to blame ─► where it is, with no function to blame
//
// The thread had no fault and goes on. Signal handlers; nothing allocates or locks.
#pragma once

#include "lib/base/fault.h"
#include "lib/runtime/stack_looks.h"
#include "lib/store/journal.h"

namespace selfheal::runtime {

class Service;

// A thread is stuck in `loop`, an activation on its stack.
struct Hang {
  Fault fault;  // kind, and the thread's registers
  Activation loop;
  u64 used;                // FaultDetail
  u32 looks;               //
  const Service* service;  // null: not known
};

// Writes it down unless nobody can be blamed: the activation is the thread's or the program's main
// function, belongs to its service loop, or is of no function that is known. An alarm's place in
// the journal is in `ticket`; null: it counts at once.
bool record_hang(const Hang& hang, store::Ticket* ticket);

// Blames nobody: says where the thread is. `message` may be null.
void record_where(const Hang& hang, const char* message);

}  // namespace selfheal::runtime
