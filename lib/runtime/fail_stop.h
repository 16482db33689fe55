// The end of a process whose control flow somebody else is about to take over.
//
// Going native at the faulting instruction, as with all other faults that are not healed, would
// make the very store or return that was kept from happening: with an address of an attacker's
// choice. So the guest leaves the engine for an instruction of ours that no process may execute;
// its SIGSEGV takes the usual way (the application's handler, the record, the death), as the fault
// the engine has seen.
#pragma once

#include "emulator/thread.h"
#include "lib/base/fault.h"

namespace selfheal::runtime {

// Must a fault of this kind, seen by the engine, not be given back to the processor?
constexpr bool must_stop(FaultKind kind) {
  return kind == FaultKind::stack_overwrite || kind == FaultKind::return_mismatch ||
         kind == FaultKind::heap_overflow || kind == FaultKind::use_after_free;
}

// Where to send the guest of an activation that was committed.
u64 fail_stop_address();

// The fault that a signal is really about: what the engine saw in this thread, if `fault` is the
// one of fail_stop_address(). Signal-safe.
Fault seen_by_engine(const Fault& fault);

}  // namespace selfheal::runtime
