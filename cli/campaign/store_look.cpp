#include "cli/campaign/store_look.h"

#include <algorithm>
#include <fmt/core.h>
#include <span>

#include "cli/decision.h"
#include "cli/module_finder.h"
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

// A rule wants a value that somebody set: what may decide about access. The runtime knows the names
// a program exports, and whom a function asks; in a program that is not stripped, more names are
// seen here.
bool is_left_to_the_user(const OpenStore& opened, const store::CatalogEntry& entry) {
  ModuleFinder finder;
  return decision_on(opened, entry, finder).mode == store::RuleMode::known_value;
}

// Also an integrity fault in a region that is to be healed: a smashed stack's region is run by the
// engine from then on, so that the store which smashes it is refused; a canary that is found
// damaged all the same ends the process (store::default_policy). So it goes when the jump negated
// is the one behind the check of the canary.
bool is_stopped(const OpenStore& opened, const FaultRecord& fault) {
  const store::CatalogEntry* entry = entry_of(opened, fault);
  return is_integrity(fault.fault.kind) ||
         (entry != nullptr &&
          (entry->policy == store::Policy::stop || is_left_to_the_user(opened, *entry)));
}

bool all_stop(const OpenStore& opened, std::span<const FaultRecord> faults) {
  return std::all_of(faults.begin(), faults.end(),
                     [&](const FaultRecord& fault) { return is_stopped(opened, fault); });
}

std::vector<FaultRecord> faults_in(const OpenStore& opened) {
  std::vector<FaultRecord> faults;
  for_each_record(opened, [&](const store::Slot& slot) {
    if (slot.kind == store::RecordKind::fault) {
      faults.push_back(slot.fault);
    }
  });
  return faults;
}

size_t heals_in(const OpenStore& opened) {
  size_t heals = 0;
  for_each_record(opened, [&](const store::Slot& slot) {
    heals += slot.kind == store::RecordKind::heal && recovered(slot.heal.outcome) ? 1U : 0U;
  });
  return heals;
}

}  // namespace

bool StoreLook::has_new_fault() const {
  return faults_recorded(path_) > sealed_;
}

bool StoreLook::has_stopped() {
  const u64 sealed = faults_recorded(path_);
  if (sealed <= std::max(sealed_, looked_at_)) {
    return stopped_;
  }
  looked_at_ = sealed;
  Session session;
  session.store = path_;
  const auto opened = open_to_look(session);
  if (opened && (*opened)->exists) {
    const std::vector<FaultRecord> faults = faults_in(**opened);
    const auto fresh = std::span(faults).subspan(std::min(faults_read_, faults.size()));
    stopped_ = !fresh.empty() && all_stop(**opened, fresh);
  }
  return stopped_;
}

u64 StoreLook::heals() const {
  Session session;
  session.store = path_;
  const auto opened = open_to_look(session);
  return opened && (*opened)->exists ? heals_in(**opened) : 0;
}

void StoreLook::read_into(RunSeen& run) {
  Session session;
  session.store = path_;
  const auto opened = open_to_look(session);
  if (!opened || !(*opened)->exists) {
    return;
  }
  const std::vector<FaultRecord> faults = faults_in(**opened);
  const auto fresh = std::span(faults).subspan(std::min(faults_read_, faults.size()));
  const size_t heals = heals_in(**opened);
  run.heals = heals - std::min(heals, heals_read_);
  run.all_stop = all_stop(**opened, fresh);
  for (const FaultRecord& fault : fresh) {
    run.faults.push_back(fmt::format(
        "{} in {}", name_of(fault.fault.kind),
        place_text(fault.region, fault.modules,
                   std::min<u8>(fault.module_count, static_cast<u8>(max_record_modules)))));
  }
  for (const store::CatalogEntry& entry : (*opened)->store.catalog.entries()) {
    run.other_remedy = run.other_remedy || entry.remedies != 0;
  }
  faults_read_ = faults.size();
  heals_read_ = heals;
  sealed_ = faults_recorded(path_);
  stopped_ = false;
}

}  // namespace selfheal::cli::campaign
