// Nothing read from a journal may be believed: a worker that lost its privileges may have written
// any byte of it. `sanitize` makes a record safe to use (indices in range, strings terminated and
// printable, enumerators known); `implausible` says why a record must not be promoted.
//
// Pure functions; any thread, signal handlers included.
#pragma once

#include "lib/base/record.h"
#include "lib/store/format.h"

namespace selfheal::store {

void sanitize(FaultRecord& record);
void sanitize(HealRecord& record);
void sanitize(CatalogEntry& entry);
void sanitize(RecordModule& module);

// nullptr when a sanitized record may become a catalog entry; else the reason, for people.
const char* implausible(const FaultRecord& record);

}  // namespace selfheal::store
