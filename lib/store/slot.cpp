#include "lib/store/slot.h"

#include "lib/store/checksum.h"
#include "lib/store/sanitize.h"
#include "lib/store/shared.h"

namespace selfheal::store {

SlotView check_slot(Slot& slot) {
  const bool fault = slot.kind == RecordKind::fault;
  if (!fault && slot.kind != RecordKind::heal) {
    return SlotView::damaged;
  }
  if (slot.payload_size != (fault ? sizeof slot.fault : sizeof slot.heal) ||
      slot.checksum != checksum(&slot.kind, checked_size(slot.payload_size))) {
    return SlotView::damaged;
  }
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
