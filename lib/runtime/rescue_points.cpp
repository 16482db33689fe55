#include "lib/runtime/rescue_points.h"

#include <iterator>

#include "lib/image/function.h"
#include "lib/runtime/level_rules.h"
#include "lib/runtime/region_policy.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sticking.h"
#include "lib/store/levels.h"
#include "lib/store/remedies.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

// Where a region's faults are rolled back, or may be, as found in some module.
struct Rescue {
  u64 catalog_id;
  u8 level;
  u64 entry;  // of the function
  store::Decision decision;
};
constinit Rescue rescues[patch::max_regions] = {};
constinit u32 rescue_count = 0;

// Told once for each candidate: the journal is looked at when it pleases its owner.
void note_unfit(u64 catalog_id, u8 level) {
  static constinit u64 noted[64] = {};
  static constinit unsigned next = 0;
  const u64 candidate = store::candidate_key(catalog_id, {level, store::ValueSlot::best});
  for (const u64 known : noted) {
    if (known == candidate) {
      return;
    }
  }
  noted[next++ % std::size(noted)] = candidate;
  record_unfit(candidate);
}

bool is_stopped(const image::Module& module, u64 offset) {
  for (const store::CatalogEntry& entry : runtime.store.catalog.of_module(module.id)) {
    if (entry.entry_offset == offset &&
        (entry.enabled == 0 || entry.policy == store::Policy::stop)) {
      return true;
    }
  }
  return false;
}

void take_values(const store::Decision& from, store::Decision& to) {
  if (from.value_set) {
    to.value_set = true;
    to.value = from.value;
  }
  if (from.error_set) {
    to.error_set = true;
    to.error_number = from.error_number;
  }
}

// The function of that level of `entry`, which calls at `call`, in this module. It may be a region
// of its own as well.
const char* protect_rescue(const image::Module& module, u8 level, u64 call,
                           const store::CatalogEntry& entry, Threads threads, Wanted& wanted) {
  image::Function function{};
  bool in_cold_part = false;
  if (!image::find_owner(module, module.bias + call - 1, function, in_cold_part)) {
    return image::name_of(function.problem);
  }
  store::CatalogEntry outer = entry;
  outer.entry_offset = module.offset_of(function.start);
  outer.value_set &= entry.level_by_user;
  outer.error_set &= entry.level_by_user;
  store::Decision decision = decide_on(module, outer);
  if (const LevelRule* rule = level_rule_of(entry); rule != nullptr) {
    take_values(rule->decision, decision);
  }
  if (const char* no = objection(decision); no != nullptr) {
    return no;
  }
  if (is_stopped(module, outer.entry_offset)) {
    return "its own faults are not healed";
  }
  const i32 index = runtime.patcher.find(function.start);
  if (index < 0 || !wanted.has(static_cast<u32>(index))) {
    const char* problem =
        protect(module, {outer.entry_offset, 0, module.bias + call}, 0, nullptr, threads, wanted);
    if (problem != nullptr) {
      return problem;
    }
    region_at(static_cast<u64>(runtime.patcher.find(function.start))).rescue_only = true;
  }
  if (rescue_count < patch::max_regions) {
    rescues[rescue_count++] = {entry.id, level, function.start, decision};
  }
  return nullptr;
}

void protect_level(const image::Module& module, u8 level, const store::CatalogEntry& entry,
                   Threads threads, Wanted& wanted) {
  const CodeRef& frame = entry.frames[store::frame_of_level(entry, level)];
  if (level == 0 || frame.module == no_module || !(entry.modules[frame.module].id == module.id)) {
    return;
  }
  const unsigned before = transient_refusals();
  const char* problem = protect_rescue(module, level, frame.offset, entry, threads, wanted);
  if (problem != nullptr) {
    refuse(entry.id, problem);
    if (transient_refusals() == before) {
      note_unfit(entry.id, level);
    }
  }
}

const Rescue* rescue_of(u64 catalog_id, u8 level) {
  for (u32 i = 0; i < rescue_count; ++i) {
    if (rescues[i].catalog_id == catalog_id && rescues[i].level == level) {
      return &rescues[i];
    }
  }
  return nullptr;
}

bool is_patched(u64 catalog_id) {
  for (u32 index = 0; index < runtime.patcher.count(); ++index) {
    if (runtime.patcher.enabled(index) && region_at(index).catalog_id == catalog_id) {
      return true;
    }
  }
  return false;
}

// Written last, as calls may be under way.
void join_rescue(Region& region, const Rescue* rescue) {
  if (rescue != nullptr) {
    region.rescue_value_set = rescue->decision.value_set;
    region.rescue_error_set = rescue->decision.error_set;
    region.rescue_error_number = rescue->decision.error_number;
    region.rescue_value = rescue->decision.value;
  }
  __atomic_store_n(&region.rescue_entry, rescue == nullptr ? 0 : rescue->entry, __ATOMIC_RELEASE);
}

// Likewise: who looks meanwhile finds fewer. A function whose value a rule sets is none of them: it
// fails by that only where it was chosen.
void join_escalation(Region& region, const store::CatalogEntry* entry) {
  __atomic_store_n(&region.outer_count, u8{0}, __ATOMIC_SEQ_CST);
  if (entry == nullptr) {
    return;
  }
  const store::Escalation escalation = escalation_here(*entry);
  u8 count = 0;
  for (u8 i = 0; i < escalation.count; ++i) {
    const Rescue* const rescue = rescue_of(entry->id, escalation.levels[i]);
    if (rescue != nullptr && !rescue->decision.value_set && !rescue->decision.error_set) {
      region.outer[count++] = {rescue->entry, rescue->level};
    }
  }
  __atomic_store_n(&region.outer_count, count, __ATOMIC_RELEASE);
}

void note_unfit_for(const Region& region, u64 entry) {
  if (region.rescue_entry == entry) {
    note_unfit(region.catalog_id, region.level);
  }
  for (u8 i = 0; i < region.outer_count; ++i) {
    if (region.outer[i].entry == entry) {
      note_unfit(region.catalog_id, region.outer[i].level);
    }
  }
}

}  // namespace

void begin_rescues() {
  rescue_count = 0;
}

void protect_rescues(const image::Module& module, Threads threads, Wanted& wanted) {
  for (const store::CatalogEntry& entry : runtime.store.catalog.entries()) {
    if (entry.enabled == 0 || !store::needs_engine(entry)) {
      continue;
    }
    protect_level(module, level_of(entry), entry, threads, wanted);
    const bool room = runtime.patcher.count() < patch::max_regions / 2;
    const store::Escalation escalation = room ? escalation_here(entry) : store::Escalation{};
    for (u8 i = 0; i < escalation.count; ++i) {
      protect_level(module, escalation.levels[i], entry, threads, wanted);
    }
  }
}

void join_rescues() {
  for (u32 i = 0; i < rescue_count; ++i) {
    const store::CatalogEntry* const entry = runtime.store.catalog.find(rescues[i].catalog_id);
    if (entry != nullptr && rescues[i].level == level_of(*entry)) {
      Region& rescue = region_at(static_cast<u64>(runtime.patcher.find(rescues[i].entry)));
      rescue.chosen = true;
      rescue.stands_in = rescue.stands_in || !is_patched(entry->id);
    }
  }
  for (u32 index = 0; index < runtime.patcher.count(); ++index) {
    Region& region = region_at(index);
    const u64 id = region.catalog_id;
    join_rescue(region, id == 0 ? nullptr : rescue_of(id, region.level));
    join_escalation(region, id == 0 ? nullptr : runtime.store.catalog.find(id));
  }
}

void note_unfit_rescue_point(u64 entry) {
  for (u32 index = 0; index < runtime.patcher.count(); ++index) {
    const Region& region = region_at(index);
    if (region.catalog_id != 0) {
      note_unfit_for(region, entry);
    }
  }
}

}  // namespace selfheal::runtime
