// What becomes of a fault in the catalog: the entry it makes, and how a later one changes it.
// Pure; any thread.
#pragma once

#include "lib/store/format.h"

namespace selfheal::store {

enum class FaultCounted : u8 {
  already,         // not newer than what the entry knows: it was counted before a promoter died
  counted,         //
  policy_changed,  // counted, and what happens next time is different now
};

FaultCounted count_fault(const FaultRecord& record, CatalogEntry& entry);

}  // namespace selfheal::store
