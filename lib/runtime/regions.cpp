#include "lib/runtime/regions.h"

#include <atomic>
#include <cstring>

#include "emulator/engine.h"
#include "emulator/models.h"
#include "lib/image/function.h"
#include "lib/patch/standing.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/engine_start.h"
#include "lib/runtime/explicit_regions.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/learning.h"
#include "lib/runtime/level_rules.h"
#include "lib/runtime/named_regions.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/region_policy.h"
#include "lib/runtime/rescue_points.h"
#include "lib/runtime/return_choice.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_check.h"
#include "lib/runtime/sticking.h"
#include "lib/store/budget.h"
#include "lib/store/remedies.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

constinit Region regions[patch::max_regions] = {};

// Catalog entries that could not be patched here, for reports; the oldest give way.
struct Refused {
  u64 catalog_id;
  const char* reason;
};
constexpr unsigned max_refused = 64;
constinit Refused refused[max_refused] = {};
constinit unsigned refused_next = 0;

// Large functions are hashed and scanned whole; one beyond this size is left alone.
constexpr u64 max_function_size = 4 * 1024 * 1024;

struct Target {
  const image::Module* module;
  image::Function function;
  u64 code_hash;
};

// The function whose entry is at `offset`, not a split-off part or the middle of something. One
// without call frame information (assembler) is as long as its symbol says.
const char* find_target(const image::Module& module, u64 offset, u64 symbol_size, Target& target) {
  const u64 entry = module.bias + offset;
  target.module = &module;
  if (!image::find_function(module, entry, target.function)) {
    if (symbol_size == 0 || target.function.problem == image::FunctionProblem::damaged ||
        !module.executable(entry) || !module.executable(entry + symbol_size - 1)) {
      return image::name_of(target.function.problem);
    }
    target.function = {entry, symbol_size, 0, false, false, image::FunctionProblem::none};
  }
  if (target.function.start != entry) {
    return "no function begins there";
  }
  if (target.function.size > max_function_size) {
    return "the function is too large";
  }
  target.code_hash = image::code_hash(module, target.function);
  return nullptr;
}

// Distance to the next function in the same segment: padding that a patch may use.
u32 gap_behind(const image::Module& module, const image::Function& function) {
  constexpr u64 most = 16;
  for (u64 gap = 0; gap < most; ++gap) {
    image::Function next{};
    if (!module.readable(function.end() + gap, 1) ||
        (image::find_function(module, function.end() + gap, next) &&
         next.start >= function.end())) {
      return static_cast<u32>(gap);
    }
  }
  return most;
}

const image::Segment* segment_of(const image::Module& module, u64 address) {
  for (unsigned i = 0; i < module.segment_count; ++i) {
    if (module.segments[i].holds(address, 1)) {
      return &module.segments[i];
    }
  }
  return nullptr;
}

// The patcher decides on original bytes, which may lie under an older patch of ours.
constinit u8 original_code[max_function_size + 16];

// What the patcher asks about the function's neighbours, one of which may branch into its entry.
bool code_at(u64 address, patch::Code& code, void* module) {
  image::Function function{};
  if (!image::find_function(*static_cast<const image::Module*>(module), address, function)) {
    return false;
  }
  code = {function.start, pointer_to<const u8>(function.start), function.size};
  return true;
}

patch::Standing standing_of(const image::Function& function) {
  if (function.cold) {
    return patch::Standing::cold_part;
  }
  return function.signal_frame ? patch::Standing::signal_restorer
                               : patch::standing_of(function.start);
}

// Functions that could not be patched just now: see patch::is_transient.
constinit unsigned transient = 0;

bool checks_stack(const store::CatalogEntry* entry) {
  return entry != nullptr && has_remedy(entry->remedies, Remedy::stack_check);
}

u8 reserve_class_of(const store::CatalogEntry* entry) {
  return entry == nullptr ? 0 : reserve_class(entry->stack_reserve);
}

// The engine has the entry's block decoded with or without the beginning of a region.
void entry_changed(u64 entry) {
  if (emulator::started()) {
    emulator::forget_code(entry, entry + 1);
  }
}

const char* install(const Target& target, u64 recorded_hash, const store::CatalogEntry* entry,
                    patch::RegionSpec& spec, Threads threads, i32& index) {
  const u64 start = target.function.start;
  spec.function.gap = gap_behind(*target.module, target.function);
  const u64 size = target.function.size + spec.function.gap;
  if (!image::read_original(*target.module, start, original_code, size)) {
    return "its code cannot be read";
  }
  spec.function.code = {start, original_code, target.function.size};
  spec.function.standing = start == address_of_function(&selfheal_rescue_body)
                               ? patch::Standing::ordinary
                               : standing_of(target.function);
  spec.function.recorded_hash = recorded_hash;
  spec.function.present_hash = target.code_hash;
  if (const image::Segment* text = segment_of(*target.module, start)) {
    spec.text_low = text->start;
    spec.text_high = text->end;
  }
  spec.stack_limit_offset = checks_stack(entry) ? stack_limit_offset(reserve_class_of(entry)) : 0;
  spec.code_at = &code_at;
  spec.context = const_cast<image::Module*>(target.module);
  const i32 before = runtime.patcher.find(start);
  const bool known = before >= 0 && runtime.patcher.enabled(static_cast<u32>(before));
  const patch::Installed installed = runtime.patcher.install(spec, threads);
  index = installed.index;
  if (index >= 0 && !known) {
    entry_changed(start);
  }
  if (index < 0) {
    transient += patch::is_transient(installed.refusal) ? 1 : 0;
    return patch::text_of(installed.refusal);
  }
  return nullptr;
}

// Where the fault seen last stands in the region itself: the instruction, or behind the call. A
// recursion's is the call of itself, which every innermost activation goes by.
u64 site_in(const image::Module& module, const store::CatalogEntry* entry) {
  if (entry == nullptr || entry->fault_kind == FaultKind::stack_exhaustion ||
      entry->blamed_frame >= entry->frame_count || entry->frame_count > max_frames) {
    return 0;
  }
  return module.bias + entry->frames[entry->blamed_frame].offset;
}

// While candidate and function do not belong together (join_rescues), faults are rolled back at the
// region's own entry.
void choose_candidate(Region& region, const store::CatalogEntry* entry) {
  const u8 level = entry == nullptr ? 0 : level_of(*entry);
  const u8 slot = entry == nullptr || level_rule_of(*entry) != nullptr ? 0 : entry->value_slot;
  if (region.level != level || region.value_slot != slot) {
    __atomic_store_n(&region.rescue_entry, 0, __ATOMIC_SEQ_CST);
    region.level = level;
    region.value_slot = slot;
  }
}

// What its function is known to return.
void know_function(const Region& region) {
  const store::FunctionEntry* const known = runtime.store.functions.find(
      region.module.id, region.function.entry.offset, region.function.code_hash);
  recover::KnownFunction function{};
  if (known != nullptr) {
    function = {known->declared, known->failure_known != 0, known->error_count != 0, known->failure,
                known->errors[0].value};
  }
  know_return(static_cast<u64>(&region - regions), function);
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
void settle(Region& region, const store::CatalogEntry* entry, const store::Decision& decision) {
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
  region.stands_in = false;
  region.watched_only = false;
  know_function(region);
  choose_candidate(region, entry);
}

// Fills the region's cell. A thread may come through the new stub before that: it finds an entry
// that is not the patch's and goes on natively (run_region), so `entry` is written last. A cell
// that is filled already is only settled: its calls are not to go natively meanwhile.
void describe(u32 index, const Target& target, u64 site, const store::CatalogEntry* entry,
              const store::Decision& decision) {
  Region& region = regions[index];
  if (region.entry == target.function.start && region.function.code_hash == target.code_hash) {
    settle(region, entry, decision);
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
  settle(region, entry, decision);
  __atomic_store_n(&region.entry, target.function.start, __ATOMIC_RELEASE);
}

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

const char* put_patch(const Target& target, u64 recorded_hash, const store::CatalogEntry* entry,
                      patch::RegionSpec& spec, Threads threads, i32& index) {
  const bool needs_engine = !checks_stack(entry);
  if (needs_engine && !start_engine()) {
    return "the engine cannot run here";
  }
  if (needs_engine && emulator::find_model(target.function.start) != nullptr) {
    return "the engine calls this function natively";  // through its patched entry, for ever
  }
  return install(target, recorded_hash, entry, spec, threads, index);
}

}  // namespace

void refuse(u64 catalog_id, const char* reason) {
  for (Refused& known : refused) {
    if (known.catalog_id == catalog_id) {
      known.reason = reason;
      return;
    }
  }
  refused[refused_next++ % max_refused] = {catalog_id, reason};
}

const char* protect(const image::Module& module, const NamedPlace& place, u64 recorded_hash,
                    const store::CatalogEntry* entry, Threads threads, Wanted& wanted) {
  const store::Decision decision = entry == nullptr ? store::Decision{} : decide_on(module, *entry);
  if (const char* no = objection(decision); no != nullptr) {
    return no;
  }
  Target target{};
  const char* problem = find_target(module, place.offset, place.symbol_size, target);
  if (problem == nullptr && recorded_hash != 0 && target.code_hash != recorded_hash) {
    problem = patch::text_of(patch::Refusal::hash_mismatch);
  }
  i32 index = -1;
  if (problem == nullptr) {
    // A region named by hand has nothing recorded to be compared with.
    patch::RegionSpec spec;
    problem = put_patch(target, recorded_hash != 0 ? recorded_hash : target.code_hash, entry, spec,
                        threads, index);
  }
  if (problem != nullptr) {
    return problem;
  }
  const u64 site = entry == nullptr ? place.site : site_in(module, entry);
  describe(static_cast<u32>(index), target, site, entry, decision);  // now calls may be healed
  wanted.add(static_cast<u32>(index));
  return nullptr;
}

const char* watch_function(const image::Module& module, const NamedPlace& place, Threads threads,
                           Wanted& wanted) {
  Target target{};
  if (const char* problem = find_target(module, place.offset, place.symbol_size, target)) {
    return problem;
  }
  patch::RegionSpec spec;
  spec.allow_trap = false;  // a signal for each call is no way of looking on
  i32 index = -1;
  if (const char* problem = put_patch(target, target.code_hash, nullptr, spec, threads, index)) {
    return problem;
  }
  describe(static_cast<u32>(index), target, 0, nullptr, store::Decision{});
  region_at(static_cast<u64>(index)).watched_only = true;
  wanted.add(static_cast<u32>(index));
  return nullptr;
}

unsigned transient_refusals() {
  return transient;
}

Region& region_at(u64 index) {
  return regions[index % patch::max_regions];
}

i32 ruling_activation(const emulator::Thread& thread) {
  const u32 depth = emulator::nesting(thread);
  for (u32 i = 0; i <= depth; ++i) {
    const Region& region = region_at(emulator::region_at_level(thread, i));
    if (!region.watched_only && (!region.rescue_only || region.stands_in)) {
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
  const unsigned before = transient;
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
  return transient == before;
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

const char* divert(u64 entry, u64 replacement, u64& native_path, Threads threads) {
  image::Module module;
  Target target{};
  if (!image::find_module(entry, module)) {
    return "it is in no module";
  }
  if (const char* problem = find_target(module, module.offset_of(entry), 0, target)) {
    return problem;
  }
  patch::RegionSpec spec;
  spec.replacement = replacement;
  spec.native_path = &native_path;
  spec.allow_trap = false;  // a signal for each call would be worse than nothing
  i32 index = -1;
  return install(target, target.code_hash, nullptr, spec, threads, index);
}

i32 engine_region_at(u64 address) {
  const i32 index = runtime.patcher.find(address);
  if (index < 0) {
    return -1;
  }
  const u32 found = static_cast<u32>(index);
  const Region& region = regions[found];
  const bool runs = runtime.patcher.enabled(found) && !runtime.patcher.diverted(found) &&
                    __atomic_load_n(&region.entry, __ATOMIC_ACQUIRE) == address &&
                    !has_remedy(region.remedies, Remedy::stack_check);
  return runs ? index : -1;
}

const char* refusal_of(u64 catalog_id) {
  for (const Refused& known : refused) {
    if (known.catalog_id == catalog_id) {
      return known.reason;
    }
  }
  return nullptr;
}

}  // namespace selfheal::runtime
