// The functions that can be rolled back for a region's faults, what they return, and how that went.
#pragma once

#include <string>
#include <vector>

#include "cli/module_finder.h"
#include "cli/region_json.h"
#include "cli/regions.h"
#include "cli/terminal.h"
#include "lib/store/levels.h"

namespace selfheal::cli {

struct CandidateView {
  store::Candidate candidate;
  std::string function;  // MODULE+OFFSET where it has no known name
  bool in_use;
  bool ready;  // further out: heals by the one in use may escalate to it
  bool unfit;  // its function cannot be a rescue point
};

// Those that may be tried, and those that were.
std::vector<CandidateView> candidates_of(const store::CatalogEntry& entry, ModuleFinder& modules);

// Empty where there is no choice and nothing was tried.
std::string candidate_table(const store::CatalogEntry& entry, ModuleFinder& modules,
                            const Terminal& terminal);
Json json_candidates(const store::CatalogEntry& entry, ModuleFinder& modules);

// "auto", "0" or "-1"; "auto (-1)" where the best value is known.
std::string value_text(const store::CatalogEntry& entry, store::Candidate candidate);

}  // namespace selfheal::cli
