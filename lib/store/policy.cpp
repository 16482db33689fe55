#include "lib/store/policy.h"

#include "lib/store/catalog.h"
#include "lib/store/levels.h"
#include "lib/store/remedies.h"

namespace selfheal::store {
namespace {

void describe_fault(const FaultRecord& record, CatalogEntry& entry) {
  entry.fault_kind = record.fault.kind;
  entry.access = record.fault.access;
  entry.signal = record.fault.signal;
  entry.pid = record.pid;
  entry.address = record.fault.address;
  entry.site = record.site;
  __builtin_memcpy(entry.instruction, record.instruction, sizeof entry.instruction);
  entry.instruction_size = record.instruction_size;
  entry.in_cold_part = record.in_cold_part;
  entry.blamed_frame = record.blamed_frame;
  entry.frame_count = record.frame_count;
  entry.module_count = record.module_count;
  __builtin_memcpy(entry.frames, record.frames, sizeof entry.frames);
  __builtin_memcpy(entry.modules, record.modules, sizeof entry.modules);
  entry.detail = record.detail;
  entry.last_seen_ns = record.time_ns;
}

// Room for two turns of the recursion, where that is more than the default leaves anyway.
u64 reserve_for(const FaultDetail& detail) {
  constexpr u64 small = 8 * 1024;
  constexpr u64 largest = u64{1} << 30;
  if (detail.stride <= small) {
    return 0;
  }
  return detail.stride > largest / 2 ? largest : 2 * detail.stride;
}

// The check was made and the stack ran out all the same: the frames are larger than those seen
// before, or the check is of no use (an error that the function cannot return, a stack whose end
// nobody knows). And a fault of another kind needs more than the check. The engine then runs the
// outermost activation, and a fault is rolled back to its caller.
bool change_remedy(const FaultRecord& record, CatalogEntry& entry) {
  if (!has_remedy(entry.remedies, Remedy::stack_check) || entry.remedies_by_user != 0) {
    return false;
  }
  if (record.fault.kind == FaultKind::stack_exhaustion) {
    if (!has_remedy(record.remedies, Remedy::stack_check)) {
      return false;  // of a process that did not know of it yet
    }
    if (const u64 reserve = reserve_for(record.detail); reserve > entry.stack_reserve) {
      entry.stack_reserve = reserve;
      return true;
    }
  }
  entry.remedies &= static_cast<u8>(~static_cast<u8>(Remedy::stack_check));
  return true;
}

}  // namespace

Policy default_policy(FaultKind kind) {
  // Integrity faults stop the process: somebody may be steering it. Everything else is a fault of
  // availability, and going on is what we are for. A smashed stack names the function that
  // overflows: run by the engine, it is stopped before it reaches its canary; should the fault
  // itself come again all the same, that is not healed.
  return is_integrity(kind) && !is_foreseen_next_time(kind) ? Policy::stop : Policy::heal;
}

u8 default_remedies(FaultKind kind, const FaultDetail& detail) {
  const bool recurses = kind == FaultKind::stack_exhaustion && detail.stride != 0;
  return static_cast<u8>(recurses ? Remedy::stack_check : Remedy::engine);
}

const char* name_of(Policy policy) {
  switch (policy) {
    case Policy::heal:
      return "heal";
    case Policy::stop:
      return "stop";
  }
  return "unknown";
}

CatalogEntry entry_from(const FaultRecord& record) {
  CatalogEntry entry = {};
  entry.module = record.modules[record.region.entry.module];
  entry.entry_offset = record.region.entry.offset;
  entry.code_hash = record.region.code_hash;
  entry.size = record.region.size;
  entry.id = entry_id(entry.module.id, entry.entry_offset, entry.code_hash);
  entry.enabled = 1;
  entry.policy = default_policy(record.fault.kind);
  entry.remedies = default_remedies(record.fault.kind, record.detail);
  entry.stack_reserve = reserve_for(record.detail);
  entry.first_seen_ns = record.time_ns;
  entry.fault_count = 1;
  entry.level_frames = record.level_frames;
  __builtin_memcpy(entry.evidence, record.evidence, sizeof entry.evidence);
  describe_fault(record, entry);
  choose_remedies(record, entry);
  move_on(entry);
  return entry;
}

FaultCounted count_fault(const FaultRecord& record, CatalogEntry& entry) {
  if (record.time_ns <= entry.last_seen_ns) {
    return FaultCounted::already;
  }
  ++entry.fault_count;
  const bool explained = entry.fault_kind == FaultKind::heap_corruption;
  const Candidate before = in_use(entry);
  follow_stack(record, entry);
  describe_fault(record, entry);
  const bool check_changed = change_remedy(record, entry);
  const bool remedy_changed = choose_remedies(record, entry) || check_changed;
  move_on(entry);  // among those that the remedies leave
  const bool moved = !(in_use(entry) == before);
  // A region with an integrity fault is suspect as a whole, also for its harmless sites.
  const bool stop = default_policy(record.fault.kind) == Policy::stop;
  if (stop && entry.policy_by_user == 0 && entry.policy != Policy::stop) {
    entry.policy = Policy::stop;
    return FaultCounted::policy_changed;
  }
  // The allocator found damage, now the access that made it is known, before it has damaged any.
  if (explained && entry.policy == Policy::stop && entry.policy_by_user == 0 &&
      is_heap_fault(record.fault.kind)) {
    entry.policy = default_policy(record.fault.kind);
    return FaultCounted::policy_changed;
  }
  return remedy_changed || moved ? FaultCounted::policy_changed : FaultCounted::counted;
}

}  // namespace selfheal::store
