// Candidates that have failed, or proved good, here and now.
//
// Which candidate a region uses is in the catalog, and the promoter moves it on. But a worker that
// gave up its privileges may not write the catalog, and its parent, who may, often sleeps until it
// is told to end (nginx, Apache): the evidence would wait in the journal for the next start. So
// such a process looks at what waits there itself, and moves on for itself; once the promoter has
// been at work, the catalog says the same.
#pragma once

#include "lib/store/levels.h"

namespace selfheal::runtime {

// Looks, if there is new evidence; where this process is the promoter (`ours`), the catalog has it
// all. True: some region is to use another candidate than before, or to escalate otherwise. Under
// runtime.changing.
bool move_candidates(bool ours);

// The candidate in use for the region's faults here: the catalog's, if nothing else is known.
store::Candidate moved_candidate_of(const store::CatalogEntry& entry);
store::Escalation moved_escalation_of(const store::CatalogEntry& entry);
// Have all candidates failed?
bool nothing_helps_now(const store::CatalogEntry& entry);

}  // namespace selfheal::runtime
