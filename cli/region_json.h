// Regions and records as JSON (schema: docs/cli.md).
#pragma once

#include "cli/format.h"
#include "cli/module_finder.h"
#include "cli/regions.h"

namespace selfheal::cli {

Json json_region(const Region& region, ModuleFinder& modules);

// The record as a document of its own, with its `report` as `selfheal info` prints it.
Json json_fault(const FaultRecord& record, const std::string& report, ModuleFinder& modules);
Json json_heal(const HealRecord& record, const std::string& line, ModuleFinder& modules);

}  // namespace selfheal::cli
