#include "lib/store/slot.h"

#include "lib/store/checksum.h"
#include "lib/store/sanitize.h"
#include "lib/store/shared.h"

namespace selfheal::store {

namespace {

// Records from before there were trials, and evidence, end there.
constexpr u64 old_fault_size = offsetof(FaultRecord, after_heal);
constexpr u64 fault_size_without_evidence = offsetof(FaultRecord, evidence);
constexpr u64 old_heal_size = offsetof(HealRecord, candidate);

bool known_size(u32 size, bool fault) {
  return fault ? size == sizeof(FaultRecord) || size == fault_size_without_evidence ||
                     size == old_fault_size
               : size == sizeof(HealRecord) || size == old_heal_size;
}

// What it did not write is 0, whatever was in the slot before.
void complete(Slot& slot, u64 size) {
  if (slot.payload_size < size) {
    for (u64 i = slot.payload_size; i < size; ++i) {
      slot.payload[i] = 0;
    }
    slot.payload_size = static_cast<u32>(size);
    seal_slot(slot);
  }
}

}  // namespace

SlotView check_slot(Slot& slot) {
  const bool fault = slot.kind == RecordKind::fault;
  if (!fault && slot.kind != RecordKind::heal) {
    return SlotView::damaged;
  }
  if (!known_size(slot.payload_size, fault) ||
      slot.checksum != checksum(&slot.kind, checked_size(slot.payload_size))) {
    return SlotView::damaged;
  }
  complete(slot, fault ? sizeof slot.fault : sizeof slot.heal);
  if (fault) {
    sanitize(slot.fault);
    return SlotView::fault;
  }
  sanitize(slot.heal);
  return SlotView::heal;
}

void seal_slot(Slot& slot) {
  slot.checksum = checksum(&slot.kind, checked_size(slot.payload_size));
}

}  // namespace selfheal::store
