// How often a site was healed in this minute, and at how many different addresses it faulted:
// shared by all processes through the journal's mapping, so that a crash loop spread over twenty
// workers is one crash loop. Feeds the breaker (DESIGN.md, invariant 7).
//
// No system call, no lock, no allocation; any thread, signal handlers included. Untrusted like the
// journal: a hostile worker can stop healing this way, which it could also do by dying.
#pragma once

#include "lib/base/types.h"
#include "lib/store/journal.h"

namespace selfheal::store {

struct BudgetUse {
  u64 heals_this_minute;   // this one included
  u32 distinct_addresses;  // a lower bound, at most 64
};

// A key for `budget_spend`: any stable number of a site, such as its catalog id + site offset.
// Counts one heal of `site` at `now_ns`. Without a journal, or with the table full of other sites'
// current entries, the answer is {1, 1}.
BudgetUse budget_spend(const Journal& journal, u64 site, u64 fault_address, u64 now_ns);

}  // namespace selfheal::store
