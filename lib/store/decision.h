// What built-in rules, the user's rules and the catalog together say of one region, each after the
// other: the runtime's word, and that of the commands that tell about it.
#pragma once

#include "lib/store/open.h"

namespace selfheal::store {

// `asks_about_access()` says whether the function is known to ask a library about access, whatever
// it is called; it may take a while, and is called only where its answer counts.
template <typename Asks>
Decision decide_on(const Store& store, const RuleSubject& subject, const CatalogEntry& entry,
                   Asks asks_about_access) {
  Decision decision;
  decide(built_in_rules(), subject, decision);
  if (decision.mode == RuleMode::heal && asks_about_access()) {
    decision.mode = RuleMode::known_value;
  }
  decide(store.rules.list(), subject, decision);
  if (decision.mode == RuleMode::known_value &&
      user_names_error(store.functions, subject.id, entry.entry_offset)) {
    decision.mode = RuleMode::heal;
  }
  decide(entry, decision);
  return decision;
}

}  // namespace selfheal::store
