#include "lib/runtime/level_rules.h"

#include <algorithm>

#include "lib/runtime/region_policy.h"
#include "lib/runtime/runtime.h"
#include "lib/store/levels.h"

namespace selfheal::runtime {
namespace {

constinit LevelRule found[patch::max_regions] = {};
constinit u32 found_count = 0;

bool names_a_level(const store::Rule& rule) {
  return rule.level_set != 0;
}

// A level that the region's stack does not have is the outermost one.
bool look(const image::Module& module, void*) {
  for (const store::CatalogEntry& entry : runtime.store.catalog.of_module(module.id)) {
    const store::Decision decision = decide_on(module, entry);
    if (decision.level_set && entry.level_by_user == 0 && found_count < patch::max_regions) {
      const u32 outermost = store::level_count(entry) - 1;
      found[found_count++] = {entry.id, static_cast<u8>(std::min<u32>(decision.level, outermost)),
                              decision};
    }
  }
  return true;
}

}  // namespace

void find_level_rules() {
  found_count = 0;
  const std::span rules = runtime.store.rules.list();
  if (std::any_of(rules.begin(), rules.end(), names_a_level)) {
    image::for_each_module(&look, nullptr);
  }
}

const LevelRule* level_rule_of(const store::CatalogEntry& entry) {
  for (u32 i = 0; i < found_count; ++i) {
    if (found[i].catalog_id == entry.id) {
      return &found[i];
    }
  }
  return nullptr;
}

store::Escalation escalation_here(const store::CatalogEntry& entry) {
  const bool may =
      runtime.options.escalate != options::Escalate::no && level_rule_of(entry) == nullptr;
  return may ? moved_escalation_of(entry) : store::Escalation{};
}

}  // namespace selfheal::runtime
