// The regions the store knows: the catalog's, plus what still waits in the journal when it is not
// ours to promote.
#pragma once

#include <string>
#include <vector>

#include "cli/result.h"
#include "cli/store_access.h"
#include "lib/store/format.h"

namespace selfheal::cli {

struct Region {
  store::CatalogEntry entry;  // counters include what is in the journal
  bool pending = false;       // not in the catalog yet: nothing is healed for it
};

struct Regions {
  std::vector<Region> regions;  // the one seen last comes first
  // Faults in the journal or history for which no function was blamed, the newest first.
  std::vector<FaultRecord> unattributed;
};

Regions read_regions(const OpenStore& opened);

std::string id_text(u64 id);

// The region whose id begins with `prefix` (hexadecimal digits). Fails when there is none, or more
// than one.
Result<const Region*> find_region(const Regions& regions, const std::string& prefix);

// True when the record speaks of the entry's region.
bool concerns(const FunctionRef& function, const RecordModule* modules, u8 module_count,
              const store::CatalogEntry& entry);

// The same of a heal, whichever function it made fail.
bool concerns(const HealRecord& heal, const store::CatalogEntry& entry);

// The regions of the catalog that `ids` name; fails for one that is only pending.
Result<std::vector<Region>> chosen_regions(const OpenStore& opened,
                                           const std::vector<std::string>& ids);

// How a user refused because we may not change what is only pending is told so.
Failure pending_failure(const Region& region);

}  // namespace selfheal::cli
