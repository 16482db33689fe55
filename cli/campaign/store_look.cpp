#include "cli/campaign/store_look.h"

#include <algorithm>
#include <fmt/core.h>

#include "cli/store_access.h"
#include "lib/store/catalog.h"

namespace selfheal::cli::campaign {
namespace {

std::string place_text(const FunctionRef& function, const RecordModule* modules, u8 count) {
  const u8 module = function.entry.module;
  return function.size == 0 || module >= count
             ? "no function blamed"
             : fmt::format("{}+{:#x}", modules[module].name, function.entry.offset);
}

const store::CatalogEntry* entry_of(const OpenStore& opened, const FaultRecord& fault) {
  const u8 module = fault.region.entry.module;
  return module < std::min<unsigned>(fault.module_count, max_record_modules)
             ? opened.store.catalog.find(fault.modules[module].id, fault.region.entry.offset,
                                         fault.region.code_hash)
             : nullptr;
}

bool is_stopped(const OpenStore& opened, const FaultRecord& fault) {
  const store::CatalogEntry* entry = entry_of(opened, fault);
  return entry != nullptr ? entry->policy == store::Policy::stop : is_integrity(fault.fault.kind);
}

}  // namespace

bool StoreLook::has_new_fault() const {
  return faults_recorded(path_) > sealed_;
}

u64 StoreLook::heals() const {
  Session session;
  session.store = path_;
  const auto opened = open_to_look(session);
  u64 heals = 0;
  if (opened && (*opened)->exists) {
    for_each_record(**opened, [&](const store::Slot& slot) {
      heals += slot.kind == store::RecordKind::heal && recovered(slot.heal.outcome) ? 1 : 0;
    });
  }
  return heals;
}

void StoreLook::read_into(RunSeen& run) {
  Session session;
  session.store = path_;
  const auto opened = open_to_look(session);
  if (!opened || !(*opened)->exists) {
    return;
  }
  std::vector<FaultRecord> faults;
  size_t heals = 0;
  for_each_record(**opened, [&](const store::Slot& slot) {
    if (slot.kind == store::RecordKind::fault) {
      faults.push_back(slot.fault);
    } else if (slot.kind == store::RecordKind::heal && recovered(slot.heal.outcome)) {
      ++heals;
    }
  });
  run.heals = heals - std::min(heals, heals_read_);
  run.all_stop = true;
  for (size_t i = faults_read_; i < faults.size(); ++i) {
    const FaultRecord& fault = faults[i];
    run.faults.push_back(fmt::format(
        "{} in {}", name_of(fault.fault.kind),
        place_text(fault.region, fault.modules,
                   std::min<u8>(fault.module_count, static_cast<u8>(max_record_modules)))));
    run.all_stop = run.all_stop && is_stopped(**opened, fault);
  }
  for (const store::CatalogEntry& entry : (*opened)->store.catalog.entries()) {
    run.other_remedy = run.other_remedy || entry.remedies != 0;
  }
  faults_read_ = faults.size();
  heals_read_ = heals;
  sealed_ = faults_recorded(path_);
}

}  // namespace selfheal::cli::campaign
