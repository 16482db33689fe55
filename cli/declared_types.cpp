#include "cli/declared_types.h"

#include "cli/declared_return.h"
#include "cli/known_functions.h"
#include "cli/module_finder.h"
#include "lib/store/levels.h"

namespace selfheal::cli {
namespace {

struct Place {
  RecordModule module;
  u64 address;  // somewhere in the function
};

std::vector<Place> places_of(const OpenStore& opened) {
  std::vector<Place> places;
  for (const store::CatalogEntry& entry : opened.store.catalog.entries()) {
    places.push_back({entry.module, entry.entry_offset});
    for (u32 level = 1; level < store::level_count(entry); ++level) {
      const CodeRef& frame = entry.frames[store::frame_of_level(entry, level)];
      places.push_back({entry.modules[frame.module], frame.offset - 1});
    }
  }
  return places;
}

}  // namespace

Outcome read_declared_types(OpenStore& opened) {
  ModuleFinder modules;
  struct Found {
    Place place;
    DeclaredReturn declared;
  };
  std::vector<Found> found;
  for (const Place& place : places_of(opened)) {
    const ModuleFile* const file = modules.find(place.module);
    const std::optional<DeclaredReturn> declared =
        file != nullptr ? declared_return(file->path, place.address) : std::nullopt;
    if (declared) {
      found.push_back({{place.module, declared->entry}, *declared});
    }
  }
  return change_functions(opened, [&](FunctionList& list) {
    for (const Found& one : found) {
      store::FunctionEntry& entry = function_in(list, one.place.module, one.place.address);
      entry.declared = one.declared.type;
      entry.declared_by = 1;
      entry.failure_known = one.declared.failure.has_value() ? 1 : 0;
      entry.failure = static_cast<u64>(one.declared.failure.value_or(0));
    }
  });
}

}  // namespace selfheal::cli
