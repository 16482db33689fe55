#include "lib/runtime/learning.h"

#include <cstring>

#include "lib/image/function.h"
#include "lib/recover/caller_use.h"
#include "lib/runtime/result_use.h"
#include "lib/runtime/runtime.h"
#include "lib/store/levels.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

struct Watch {
  const image::Module& module;
  patch::Threads threads;
  Wanted& wanted;
};

// The function may be somebody else's region already: then its calls are all run by the engine.
void watch(Watch& watch, u64 offset, u64 symbol_size) {
  const image::Module& module = watch.module;
  const u64 entry = module.bias + offset;
  i32 index = runtime.patcher.find(entry);
  if (index < 0 || !watch.wanted.has(static_cast<u32>(index))) {
    if (watch_function(module, {offset, symbol_size}, watch.threads, watch.wanted) != nullptr) {
      return;
    }
    index = runtime.patcher.find(entry);
  }
  if (index < 0) {
    return;
  }
  Region& region = region_at(static_cast<u64>(index));
  if (region.watched_cell == 0) {
    const i32 cell = runtime.store.learning.cell_of(region.module, region.function.entry.offset,
                                                    region.function.code_hash);
    __atomic_store_n(&region.watched_cell, cell + 1, __ATOMIC_RELEASE);
  }
}

void watch_function_of(Watch& watch_it, u64 address) {
  image::Function function{};
  bool in_cold_part = false;
  if (image::find_owner(watch_it.module, address, function, in_cold_part)) {
    watch(watch_it, watch_it.module.offset_of(function.start), 0);
  }
}

// Regions and the functions outwards of them: candidates for rescue points.
void watch_catalogued(Watch& watch_it) {
  const image::Module& module = watch_it.module;
  for (const store::CatalogEntry& entry : runtime.store.catalog.entries()) {
    if (entry.module.id == module.id) {
      watch(watch_it, entry.entry_offset, 0);
    }
    for (u32 level = 1; level < store::level_count(entry); ++level) {
      const CodeRef& frame = entry.frames[store::frame_of_level(entry, level)];
      if (frame.module != no_module && entry.modules[frame.module].id == module.id) {
        watch_function_of(watch_it, module.bias + frame.offset - 1);
      }
    }
  }
}

void watch_requested(Watch& watch_it) {
  store::WatchRequest request;
  for (u32 i = 0; runtime.store.learning.request(i, request); ++i) {
    options::RegionOption named{};
    static_assert(sizeof named.module == sizeof request.module);
    static_assert(sizeof named.function >= sizeof request.function);
    std::memcpy(named.module, request.module, sizeof request.module);
    std::memcpy(named.function, request.function, sizeof request.function);
    named.offset = request.offset;
    NamedPlace place{};
    if (find_named(watch_it.module, named, place) == NamedRegion::found) {
      watch(watch_it, place.offset, place.symbol_size);
    }
  }
}

bool watch_each(const image::Function& function, void* context) {
  auto& watch_it = *static_cast<Watch*>(context);
  if (!function.cold && !function.signal_frame) {
    watch(watch_it, watch_it.module.offset_of(function.start), 0);
  }
  return watch_it.wanted.count() < store::max_watched;
}

struct Question {
  u64 return_address;
  bool used;
};

void look_at_caller(void* argument) {
  Question& question = *static_cast<Question*>(argument);
  const recover::CallerUse use =
      recover::find_caller_use(question.return_address, recover::live_image());
  question.used = use.use != recover::Use::unused;
}

}  // namespace

bool result_is_used(u64 return_address) {
  Question question{return_address, true};
  return !probes::guarded(&look_at_caller, &question) || question.used;
}

bool watching_functions() {
  return runtime.store.learning.period() != store::Period::off;
}

void watch_functions(const image::Module& module, patch::Threads threads, Wanted& wanted) {
  if (!watching_functions() || module.id.kind == ModuleIdKind::none ||
      image::is_own_module(module)) {
    return;
  }
  Watch watch_it{module, threads, wanted};
  watch_catalogued(watch_it);
  watch_requested(watch_it);
  if (runtime.store.learning.watches_all() && module.name[0] == '\0') {
    image::for_each_function(module, &watch_each, &watch_it);
  }
}

}  // namespace selfheal::runtime
