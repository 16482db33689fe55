// What is done about a region's faults, by the policy rules and the catalog together.
#pragma once

#include <string>

#include "cli/module_finder.h"
#include "cli/store_access.h"
#include "lib/store/rules.h"

namespace selfheal::cli {

store::Decision decision_on(const OpenStore& opened, const store::CatalogEntry& entry,
                            ModuleFinder& modules);

// Its mode, and what else it says: "heal, level 1, value -1".
std::string action_of(const store::Decision& decision);

// Why nothing is healed; null: it is.
const char* why_not_healed(const store::Decision& decision);

}  // namespace selfheal::cli
