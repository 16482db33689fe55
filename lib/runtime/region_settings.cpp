#include "lib/runtime/region_settings.h"

#include <atomic>
#include <cstring>

#include "lib/runtime/heal_record.h"
#include "lib/runtime/level_rules.h"
#include "lib/runtime/return_choice.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_check.h"

namespace selfheal::runtime {
namespace {

// While candidate and function do not belong together (join_rescues), faults are rolled back at the
// region's own entry.
void choose_candidate(Region& region, const store::CatalogEntry* entry) {
  const store::Candidate candidate = entry == nullptr ? store::Candidate{} : candidate_of(*entry);
  const u8 level = candidate.level;
  const u8 slot = static_cast<u8>(candidate.slot);
  region.nothing_helps = entry != nullptr && nothing_helps_here(*entry);
  if (region.level != level || region.value_slot != slot) {
    __atomic_store_n(&region.rescue_entry, 0, __ATOMIC_SEQ_CST);
    region.level = level;
    region.value_slot = slot;
  }
}

// What its function is known to return.
void know_function(u64 index) {
  const Region& region = region_at(index);
  const store::FunctionEntry* const known = runtime.store.functions.find(
      region.module.id, region.function.entry.offset, region.function.code_hash);
  recover::KnownFunction function{};
  if (known != nullptr) {
    function = {known->declared, known->failure_known != 0, known->error_count != 0, known->failure,
                known->errors[0].value};
  }
  know_return(index, function);
}

// What is set for an outer level is not for this one; but where nothing may be guessed, it is
// better than a guess.
bool is_for_outer_level(const store::CatalogEntry* entry, const store::Decision& decision) {
  if (entry == nullptr || level_of(*entry) == 0 || decision.mode == store::RuleMode::known_value) {
    return false;
  }
  return level_rule_of(*entry) != nullptr ||
         (entry->level_by_user != 0 && (entry->value_set != 0 || entry->error_set != 0));
}

// What the catalog and the policy say of a region. Calls of it may be under way: each word is right
// by itself, and a value is there before it is said to be set.
void settle(u64 index, const store::CatalogEntry* entry, const store::Decision& decision) {
  Region& region = region_at(index);
  region.catalog_id = entry == nullptr ? 0 : entry->id;
  region.remedies = entry == nullptr ? 0 : entry->remedies;
  region.reserve_class = reserve_class_of(entry);
  region.policy = entry == nullptr ? store::Policy::heal : entry->policy;
  const bool value_set = decision.value_set && !is_for_outer_level(entry, decision);
  const bool error_set = decision.error_set && !is_for_outer_level(entry, decision);
  region.value = value_set ? decision.value : region.value;
  region.error_number = error_set ? decision.error_number : region.error_number;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  region.value_set = value_set;
  region.error_set = error_set;
  region.simulate = decision.mode == store::RuleMode::simulate;
  region.percent = decision.percent;
  region.loops = entry != nullptr && (entry->fault_kind == FaultKind::time_out ||
                                      entry->fault_kind == FaultKind::memory_growth);
  region.budget = entry == nullptr ? 0 : entry->instruction_budget;
  region.heals_integrity = entry != nullptr && entry->policy_by_user != 0;
  region.rescue_only = false;
  region.chosen = false;
  region.ready_calls = most_ready_calls;
  region.stands_in = false;
  region.watched_only = false;
  know_function(index);
  choose_candidate(region, entry);
}

}  // namespace

bool checks_stack(const store::CatalogEntry* entry) {
  return entry != nullptr && has_remedy(entry->remedies, Remedy::stack_check);
}

u8 reserve_class_of(const store::CatalogEntry* entry) {
  return entry == nullptr ? 0 : reserve_class(entry->stack_reserve);
}

u64 site_in(const image::Module& module, const store::CatalogEntry* entry) {
  if (entry == nullptr || entry->fault_kind == FaultKind::stack_exhaustion ||
      entry->blamed_frame >= entry->frame_count || entry->frame_count > max_frames) {
    return 0;
  }
  return module.bias + entry->frames[entry->blamed_frame].offset;
}

void describe(u32 index, const Target& target, u64 site, const store::CatalogEntry* entry,
              const store::Decision& decision) {
  Region& region = region_at(index);
  if (region.entry == target.function.start && region.function.code_hash == target.code_hash) {
    settle(index, entry, decision);
    return;
  }
  __atomic_store_n(&region.entry, 0, __ATOMIC_RELEASE);
  learn_exits(index, target.function, site);
  region.function.entry = {target.module->offset_of(target.function.start), 0, {}};
  region.function.code_hash = target.code_hash;
  region.function.size = static_cast<u32>(target.function.size);
  region.module = name_module(*target.module);
  region.unprotected_noted = false;
  region.watched_cell = 0;
  region.sampling = {};
  memset(region.calls_seen, 0, sizeof region.calls_seen);
  settle(index, entry, decision);
  __atomic_store_n(&region.entry, target.function.start, __ATOMIC_RELEASE);
}

}  // namespace selfheal::runtime
