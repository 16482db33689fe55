// What is done differently for chunks of one call of malloc, or of free: the remedies in force.
//
// A site is the return address of the call, as Exterminator's (Novark, Berger, Zorn, PLDI 2007,
// section 4) but for one frame: it is what a catalog entry can name in every process.
//
// Written by one thread at a time, read by all without a lock: cells are never moved, a rule that
// ends is one without remedies.
#pragma once

#include <atomic>

#include "lib/base/record.h"
#include "lib/base/types.h"

namespace selfheal::probes::heap {

struct SiteRule {
  u8 remedies;  // Remedy bits
  bool guard;   // chunks of this site go into guarded slots
  bool before;  // with the guard page before them, not behind: something writes there
  u32 padding;  // bytes
  u64 owner;    // whatever the rule's maker wants to find it by: the catalog entry's id

  bool has(Remedy remedy) const { return (remedies & static_cast<u8>(remedy)) != 0; }
};

// Replaces all rules: begin, add ..., end. Rules that are both before and after never lapse.
void begin_rules();
void add_rule(u64 site, const SiteRule& rule);
void end_rules();

// The rule of a site; one without remedies when it has none.
SiteRule rule_of(u64 site);

}  // namespace selfheal::probes::heap
