#include "lib/runtime/protect.h"

#include "emulator/models.h"
#include "lib/runtime/engine_start.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/patch_target.h"
#include "lib/runtime/region_policy.h"
#include "lib/runtime/region_settings.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_check.h"
#include "lib/store/catalog.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

// Catalog entries that could not be patched here, said once each; the oldest give way.
struct Refused {
  u64 catalog_id;
  const char* reason;
};
constexpr unsigned max_refused = 64;
constinit Refused refused[max_refused] = {};
constinit unsigned refused_next = 0;

const char* put_patch(const Target& target, u64 recorded_hash, const store::CatalogEntry* entry,
                      patch::RegionSpec& spec, Threads threads, i32& index) {
  const bool needs_engine = !checks_stack(entry);
  if (needs_engine && !start_engine()) {
    return "the engine cannot run here";
  }
  if (needs_engine && emulator::find_model(target.function.start) != nullptr) {
    return "the engine calls this function natively";  // through its patched entry, for ever
  }
  spec.stack_limit_offset = needs_engine ? 0 : stack_limit_offset(reserve_class_of(entry));
  return install(target, recorded_hash, spec, threads, index);
}

void say_refused(u64 catalog_id, const char* reason) {
  char buffer[256];
  Text line(buffer, sizeof buffer);
  line << "region ";
  store::write_id(line, catalog_id) << " is not protected: " << reason;
  say(line.c_str());
}

}  // namespace

void refuse(u64 catalog_id, const char* reason) {
  for (Refused& known : refused) {
    if (known.catalog_id == catalog_id && known.reason == reason) {
      return;
    }
  }
  refused[refused_next++ % max_refused] = {catalog_id, reason};
  if (runtime.options.verbose) {
    say_refused(catalog_id, reason);
  }
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
  return install(target, target.code_hash, spec, threads, index);
}

}  // namespace selfheal::runtime
