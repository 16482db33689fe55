#include "lib/runtime/explicit_regions.h"

#include <array>

#include "lib/image/function.h"
#include "lib/runtime/heal_record.h"
#include "lib/store/catalog.h"

namespace selfheal::runtime {
namespace {

constinit std::array<ExplicitRegion, 64> table{};

void set_options(const selfheal_protection* options, store::CatalogEntry& entry) {
  const selfheal_protection none{};
  const selfheal_protection& given = options == nullptr ? none : *options;
  entry.value_set = given.has_value;
  entry.value = static_cast<u64>(given.value);
  entry.error_set = given.has_error_number;
  entry.error_number = given.error_number;
}

bool identify(u64 address, ExplicitRegion& region) {
  image::Module module;
  image::Function function;
  if (!image::find_module(address, module) || !image::find_function(module, address, function) ||
      function.start != address) {
    return false;
  }
  store::CatalogEntry& entry = region.entry;
  entry.module = name_module(module);
  entry.entry_offset = module.offset_of(address);
  entry.code_hash = image::code_hash(module, function);
  entry.size = static_cast<u32>(function.size);
  entry.id = store::entry_id(entry.module.id, entry.entry_offset, entry.code_hash);
  entry.enabled = 1;
  region.module_start = module.start;
  return true;
}

}  // namespace

bool lies_in(const ExplicitRegion& region, const image::Module& module) {
  return region.used && region.entry.module.id == module.id &&
         (module.id.kind != ModuleIdKind::none || region.module_start == module.start);
}

Explicit add_explicit(u64 address, const selfheal_protection* options, ExplicitRegion*& region) {
  region = find_explicit(address);
  if (region != nullptr) {
    set_options(options, region->entry);
    return Explicit::changed;
  }
  for (ExplicitRegion& free : table) {
    if (free.used) {
      continue;
    }
    if (!identify(address, free)) {
      return Explicit::no_function;
    }
    set_options(options, free.entry);
    free.used = true;
    region = &free;
    return Explicit::added;
  }
  return Explicit::full;
}

ExplicitRegion* find_explicit(u64 address) {
  image::Module module;
  if (!image::find_module(address, module)) {
    return nullptr;
  }
  for (ExplicitRegion& region : table) {
    if (lies_in(region, module) && region.entry.entry_offset == module.offset_of(address)) {
      return &region;
    }
  }
  return nullptr;
}

bool any_explicit() {
  for (const ExplicitRegion& region : table) {
    if (region.used) {
      return true;
    }
  }
  return false;
}

std::span<ExplicitRegion> explicit_regions() {
  return table;
}

}  // namespace selfheal::runtime
