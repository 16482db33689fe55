#include "cli/regions.h"

#include <algorithm>
#include <cctype>
#include <fmt/core.h>

#include "lib/store/catalog.h"
#include "lib/store/levels.h"
#include "lib/store/sanitize.h"

namespace selfheal::cli {
namespace {

void add_pending_fault(std::vector<Region>& regions, const FaultRecord& record) {
  const store::CatalogEntry fresh = store::entry_from(record);
  const auto known = std::find_if(regions.begin(), regions.end(), [&](const Region& region) {
    return region.entry.id == fresh.id;
  });
  if (known == regions.end()) {
    regions.push_back({fresh, true});
    return;
  }
  ++known->entry.fault_count;
  known->entry.last_seen_ns = std::max(known->entry.last_seen_ns, record.time_ns);
}

void add_pending_heal(std::vector<Region>& regions, const HealRecord& record) {
  for (Region& region : regions) {
    if (recovered(record.outcome) && concerns(record, region.entry)) {
      ++region.entry.heal_count;
      region.entry.last_heal_ns = std::max(region.entry.last_heal_ns, record.time_ns);
    }
  }
}

}  // namespace

bool concerns(const FunctionRef& function, const RecordModule* modules, u8 module_count,
              const store::CatalogEntry& entry) {
  const u8 index = function.entry.module;
  return index < module_count && index < max_record_modules &&
         function.entry.offset == entry.entry_offset && function.code_hash == entry.code_hash &&
         modules[index].id == entry.module.id;
}

bool concerns(const HealRecord& heal, const store::CatalogEntry& entry) {
  return heal.candidate != 0 ? store::id_of_key(heal.candidate) == entry.id
                             : concerns(heal.region, heal.modules, heal.module_count, entry);
}

Regions read_regions(const OpenStore& opened) {
  Regions result;
  for (const store::CatalogEntry& entry : opened.store.catalog.entries()) {
    result.regions.push_back({entry, false});
  }
  const store::Journal& journal = opened.store.journal;
  std::vector<HealRecord> heals;
  store::Slot slot;
  for (u32 i = 0; journal.mapped() && i < journal.slot_count(); ++i) {
    const store::SlotView view = journal.read(i, slot);
    if (view == store::SlotView::fault && store::implausible(slot.fault) == nullptr) {
      add_pending_fault(result.regions, slot.fault);
    } else if (view == store::SlotView::heal) {
      heals.push_back(slot.heal);
    }
  }
  for (const HealRecord& heal : heals) {
    add_pending_heal(result.regions, heal);
  }
  for_each_record(opened, [&](const store::Slot& record) {
    if (record.kind == store::RecordKind::fault && store::implausible(record.fault) != nullptr) {
      result.unattributed.push_back(record.fault);
    }
  });
  std::stable_sort(
      result.unattributed.begin(), result.unattributed.end(),
      [](const FaultRecord& a, const FaultRecord& b) { return a.time_ns > b.time_ns; });
  std::stable_sort(
      result.regions.begin(), result.regions.end(),
      [](const Region& a, const Region& b) { return a.entry.last_seen_ns > b.entry.last_seen_ns; });
  return result;
}

std::string id_text(u64 id) {
  return fmt::format("{:0{}x}", id, store::id_digits);
}

Result<const Region*> find_region(const Regions& regions, const std::string& prefix) {
  const bool is_hex = !prefix.empty() && std::all_of(prefix.begin(), prefix.end(), [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
  });
  if (!is_hex) {
    return fail(fmt::format("'{}' is not an id; ids are hexadecimal, as `selfheal list` shows them",
                            prefix),
                exit_usage);
  }
  std::string wanted = prefix;
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const Region* found = nullptr;
  for (const Region& region : regions.regions) {
    if (!id_text(region.entry.id).starts_with(wanted)) {
      continue;
    }
    if (found != nullptr) {
      return fail(fmt::format("'{}' begins more than one id ({} and {}); give more digits", prefix,
                              id_text(found->entry.id), id_text(region.entry.id)));
    }
    found = &region;
  }
  if (found == nullptr) {
    return fail(fmt::format("no region has the id '{}'; `selfheal list` shows all", prefix));
  }
  return found;
}

Failure pending_failure(const Region& region) {
  return {
      fmt::format("region {} is not in the catalog yet: something else is just changing the "
                  "store; try again",
                  id_text(region.entry.id))};
}

Result<std::vector<Region>> chosen_regions(const OpenStore& opened,
                                           const std::vector<std::string>& ids) {
  const Regions regions = read_regions(opened);
  std::vector<Region> result;
  for (const std::string& id : ids) {
    const Result<const Region*> region = find_region(regions, id);
    if (!region) {
      return tl::unexpected(region.error());
    }
    if ((*region)->pending) {
      return tl::unexpected(pending_failure(**region));
    }
    result.push_back(**region);
  }
  return result;
}

}  // namespace selfheal::cli
