// Healing: a region's fault becomes an error return of the region's function.
#pragma once

#include "emulator/engine.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// What xmm0 shall hold when the guest goes on.
struct VectorResult {
  bool set;
  u64 low;
};

// Called on the engine's stack when an activation of `region` stopped at a fault. True: memory is
// rolled back and thread.guest stands right behind the call of the region, with the error value in
// rax. False: policy, breaker or kind say no; nothing was changed, and the guest has to be given
// back to the processor where it stands. Either way it is journalled and counted, but for a fault
// that is the application's own business.
bool heal(emulator::Thread& thread, const emulator::Outcome& outcome, VectorResult& vector);

// The undo log is full: the activation goes on natively and cannot be rolled back. Journalled the
// first time for each region. Keeps the guest's vector registers.
void note_unprotected(emulator::Thread& thread, Region& region);

// When the signal of a fault in the engine arrived: the beginning of what a heal's record calls its
// duration. From the signal handler.
void stamp_fault();

}  // namespace selfheal::runtime
