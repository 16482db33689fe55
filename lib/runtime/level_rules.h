// Policy rules that name a level (docs/policy.md): for this process they stand for the catalog's
// choice, and nothing moves it; the user's word on one region (`selfheal set`) comes before them.
#pragma once

#include "lib/patch/patcher.h"
#include "lib/runtime/moved_candidates.h"
#include "lib/store/format.h"
#include "lib/store/rules.h"

namespace selfheal::runtime {

// What the rules say of a region's level. The value of a rule that names both is for that level.
struct LevelRule {
  u64 catalog_id;
  u8 level;
  store::Decision decision;
};

// Looks at the regions of all modules loaded now; one look at the rules where none names a level.
// Under runtime.changing.
void find_level_rules();

// Of the region's entry; null: no rule names a level, or the user has chosen one.
const LevelRule* level_rule_of(const store::CatalogEntry& entry);

// The candidate in force here.
inline store::Candidate candidate_of(const store::CatalogEntry& entry) {
  const LevelRule* rule = level_rule_of(entry);
  return rule != nullptr ? store::Candidate{rule->level, store::ValueSlot::best}
                         : moved_candidate_of(entry);
}
inline u8 level_of(const store::CatalogEntry& entry) {
  return candidate_of(entry).level;
}

// Have all candidates failed, where nobody has chosen one?
inline bool nothing_helps_here(const store::CatalogEntry& entry) {
  return level_rule_of(entry) == nullptr && nothing_helps_now(entry);
}

// Where its heals may escalate to.
store::Escalation escalation_here(const store::CatalogEntry& entry);

}  // namespace selfheal::runtime
