// The runs of a server that a trial is made of, each on a fresh copy: started, driven by the
// workload, and looked at.
#pragma once

#include <string>

#include "cli/campaign/store_look.h"
#include "cli/campaign/trial.h"

namespace selfheal::cli::campaign {

// A fresh folder for the copy, prepared.
Outcome renew(Copy& copy, const std::string& folder);

// The following throw std::runtime_error where no copy can be prepared: in the middle of a trial
// that is no fault's doing, and the whole trial is void.

// Until something is recorded, or the workload has ended and nothing happens any more.
RunSeen first_run(const Setting& setting, Household& household, const std::string& folder,
                  StoreLook& store);

// The first run again, traced, to see whether a process that nobody misses dies of a fault. It is
// under the runtime, too: what dies only without it (of what uninitialized memory holds, say) tells
// nothing about it.
void repeat_traced(const Setting& setting, Household& household, const std::string& folder,
                   StoreLook& store, RunSeen& first);

// Nothing known, and nothing healed: what is answered wrongly all the same?
RunSeen observed_run(const Setting& setting, Household& household, const std::string& folder);

// With what was recorded.
RunSeen later_run(const Setting& setting, Household& household, const std::string& folder,
                  StoreLook& store, unsigned number);

}  // namespace selfheal::cli::campaign
