#include "lib/runtime/regions.h"

#include <atomic>

#include "emulator/engine.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/explicit_regions.h"
#include "lib/runtime/learning.h"
#include "lib/runtime/level_rules.h"
#include "lib/runtime/named_regions.h"
#include "lib/runtime/patch_target.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/region_policy.h"
#include "lib/runtime/rescue_points.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sticking.h"
#include "lib/store/budget.h"
#include "lib/store/remedies.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

constinit Region regions[patch::max_regions] = {};

constinit u64 closing = store::forever;

struct Pass {
  Threads threads;
  Wanted wanted;
  u64 named = 0;  // region options in force, by index
};

// Before the catalog, whose word on the same function is the last.
void protect_explicit(const image::Module& module, Pass& pass) {
  for (ExplicitRegion& region : explicit_regions()) {
    if (lies_in(region, module)) {
      region.problem = protect(module, {region.entry.entry_offset, 0}, region.entry.code_hash,
                               &region.entry, pass.threads, pass.wanted);
    }
  }
}

void protect_catalogued(const image::Module& module, Pass& pass) {
  for (const store::CatalogEntry& entry : runtime.store.catalog.of_module(module.id)) {
    if (entry.enabled == 0 || !store::needs_engine(entry)) {
      continue;
    }
    if (const u64 until = breaker_open_until(entry.id, realtime_ns()); until != 0) {
      refuse(entry.id, "its breaker is open");
      closing = until < closing ? until : closing;
      continue;
    }
    const char* problem = protect(module, {entry.entry_offset, 0}, entry.code_hash, &entry,
                                  pass.threads, pass.wanted);
    if (problem != nullptr) {
      refuse(entry.id, problem);
    }
    if (problem == not_guessed && entry.decides_access == 0) {
      record_access(entry.id);
    }
  }
}

void protect_named(const image::Module& module, Pass& pass) {
  for (unsigned i = 0; i < runtime.options.region.count; ++i) {
    NamedPlace place{};
    const char* problem = nullptr;
    switch (find_named(module, runtime.options.region.items[i], place)) {
      case NamedRegion::elsewhere:
        continue;
      case NamedRegion::unknown:
        problem = "no such function";
        break;
      case NamedRegion::found:
        problem = protect(module, place, 0, nullptr, pass.threads, pass.wanted);
        pass.named |= u64{problem == nullptr} << i;
        break;
    }
    if (problem != nullptr) {
      complain_once(i, problem);
    }
  }
}

bool visit_module(const image::Module& module, void* context) {
  Pass& pass = *static_cast<Pass*>(context);
  protect_explicit(module, pass);
  if (module.id.kind != ModuleIdKind::none) {
    protect_catalogued(module, pass);
  }
  protect_named(module, pass);
  if (module.id.kind != ModuleIdKind::none) {
    protect_rescues(module, pass.threads, pass.wanted);
  }
  watch_functions(module, pass.threads, pass.wanted);
  return true;
}

// Regions that the catalog no longer wants get their own bytes back.
void remove_unwanted(const Wanted& wanted, Threads threads) {
  for (u32 index = 0; index < runtime.patcher.count(); ++index) {
    if (runtime.patcher.enabled(index) && !runtime.patcher.diverted(index) && !wanted.has(index)) {
      runtime.patcher.uninstall(index, threads);
      entry_changed(runtime.patcher.entry(index));
    }
  }
}

}  // namespace

Region& region_at(u64 index) {
  return regions[index % patch::max_regions];
}

Region& ruling_region(const emulator::Thread& thread, u32 outwards) {
  Region& own = region_at(emulator::region_at_level(thread, outwards));
  Region& come_to = region_at(emulator::come_to_at_level(thread, outwards));
  return own.rescue_only && !is_bystander(come_to) ? come_to : own;
}

i32 ruling_activation(const emulator::Thread& thread) {
  const u32 depth = emulator::nesting(thread);
  for (u32 i = 0; i <= depth; ++i) {
    if (!is_bystander(ruling_region(thread, i))) {
      return static_cast<i32>(i);
    }
  }
  return -1;
}

bool breakers_changed(u64 now_ns) {
  if (closing <= now_ns / 1'000'000'000) {
    return true;
  }
  for (u32 index = 0; index < runtime.patcher.count(); ++index) {
    if (runtime.patcher.enabled(index) && regions[index].catalog_id != 0 &&
        breaker_open_until(budget_key(regions[index]), now_ns) != 0) {
      return true;
    }
  }
  return false;
}

bool breaker_will_close() {
  return closing != store::forever;
}

bool apply_regions(Threads threads) {
  const unsigned before = transient_refusals();
  closing = store::forever;
  find_level_rules();
  begin_rescues();
  Pass pass{threads, {}};
  image::for_each_module(&visit_module, &pass);
  join_rescues();
  tell(pass.named);
  remove_unwanted(pass.wanted, threads);
  runtime.regions.store(pass.wanted.count());
  if (pass.wanted.count() != 0) {
    protect_thread();
  }
  return transient_refusals() == before;
}

bool protect_now(u64 entry, u64 code_hash, Threads threads) {
  image::Module module;
  Wanted wanted;
  if (!image::find_module(entry, module) || protect(module, {module.offset_of(entry), 0}, code_hash,
                                                    nullptr, threads, wanted) != nullptr) {
    return false;
  }
  runtime.regions.fetch_add(1);
  return true;
}

i32 engine_region_at(u64 address) {
  const i32 index = runtime.patcher.find(address);
  if (index < 0) {
    return -1;
  }
  const u32 found = static_cast<u32>(index);
  const Region& region = regions[found];
  const bool runs = runtime.patcher.enabled(found) && !runtime.patcher.diverted(found) &&
                    __atomic_load_n(&region.entry, __ATOMIC_ACQUIRE) == address;
  return runs ? index : -1;
}

bool checks_stack_at_entry(u64 region_index) {
  return has_remedy(region_at(region_index).remedies, Remedy::stack_check);
}

}  // namespace selfheal::runtime
