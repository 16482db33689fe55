// The allocation probe in this process: when it is switched on, and which remedies are in force.
//
//   catalog ──► a heap fault of a module loaded here? ──► divert the allocator (probes/heap)
//           ──► pad, delay, fill, ignore: rules by call site
//           ──► a corruption nobody has explained yet? then guard pages for everybody, sampled
//
// Without such an entry nothing is diverted, reserved or asked.
#pragma once

#include "lib/base/record.h"
#include "lib/patch/patcher.h"

namespace selfheal::runtime {

// Brings the probe in line with runtime.store.catalog. Under runtime.changing.
void apply_heap_probe(patch::Threads threads);

// A wild access to a guard page, a red zone or a freed chunk gets its true name.
void name_heap_fault(Fault& fault);

// What is known of the chunk at fault.address goes to the record. Not in a record that is full.
void describe_chunk(FaultRecord& record);

// The rule a remedy's record speaks of: the region of catalog entry `id`. False: not in force here.
struct RemedyOwner {
  u64 id;
  FunctionRef function;
  RecordModule module;
};
bool find_remedy_owner(u64 id, RemedyOwner& owner);

}  // namespace selfheal::runtime
