// What the records say of one region.
#pragma once

#include <optional>

#include "cli/module_finder.h"
#include "cli/regions.h"
#include "lib/report/report.h"
#include "lib/store/rules.h"

namespace selfheal::cli {

struct Evidence {
  std::optional<FaultRecord> last_fault;
  std::optional<HealRecord> last_heal;  // healed, eager or simulated
  u64 healed = 0;                       // by outcome, as far as the records go back
  u64 left_to_die = 0;
  u64 simulated = 0;    // would have been healed; a policy rule said to let it happen
  u64 unprotected = 0;  // undo logs that were full: at most one a region and process
  u64 eager = 0;
};

Evidence collect_evidence(const OpenStore& opened, const store::CatalogEntry& entry);

// What is left of the last fault in the catalog when its record is gone: no registers.
FaultRecord fault_from(const store::CatalogEntry& entry);

// What the store says will happen next time.
report::Outlook outlook_of(const Region& region, const FaultRecord& record,
                           const store::Decision& decision);

// lib/report's texts, with names from the modules' files.
std::string report_text(const FaultRecord& record, const report::Outlook& outlook,
                        ModuleFinder& modules);
std::string report_text(const HealRecord& record, ModuleFinder& modules);

}  // namespace selfheal::cli
