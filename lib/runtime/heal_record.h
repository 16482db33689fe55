// What healing with rollback and eager recovery have in common: which faults, and the journal
// entry.
#pragma once

#include "lib/base/record.h"
#include "lib/image/module.h"

namespace selfheal::runtime {

// Availability faults are healed; what speaks of broken integrity ends the process (DESIGN.md,
// invariant 7).
bool healable(FaultKind kind);

// How records name a module.
RecordModule name_module(const image::Module& module);

// Refers to a code address in the record's own table of modules, adding its module when needed.
CodeRef refer(HealRecord& record, u64 address);
CodeRef refer(FaultRecord& record, u64 address);

// Journals the record and prints its line. Signal-safe.
void write_down(const HealRecord& record);

}  // namespace selfheal::runtime
