// What the parts of undoing share.
#pragma once

#include "emulator/actions.h"

namespace selfheal::emulator {

// Waiting for somebody else, who need not come: ends after a bounded time, and never blocks.
class Patience {
 public:
  // Waits a little. False: long enough.
  bool lasts();

 private:
  u64 begin_ = 0;
  unsigned attempts_ = 0;
};

bool undo_word(const ActionRecord& record, RollbackState& state);
bool undo_lock(const ActionRecord& record, AddressSet& unheld);

}  // namespace selfheal::emulator
