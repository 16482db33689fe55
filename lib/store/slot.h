// What journal and history share: is a copied slot whole?
#pragma once

#include "lib/store/format.h"
#include "lib/store/journal.h"

namespace selfheal::store {

// `fault` or `heal`, and the payload sanitized; or `damaged`. Works on a private copy only.
SlotView check_slot(Slot& slot);

// Gives a checked slot, whose payload may have been changed by sanitizing, a checksum that fits.
void seal_slot(Slot& slot);

}  // namespace selfheal::store
