#include "lib/store/budget.h"

#include "lib/store/shared.h"

namespace selfheal::store {
namespace {

constexpr u32 probes = 16;
constexpr u64 minute_ns = 60'000'000'000;

u32 minute_in(u64 minute_and_heals) {
  return static_cast<u32>(minute_and_heals >> 32);
}

u64 mixed(u64 value) {  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4): the high bits are good
  return (value * 0x9e37'79b9'7f4a'7c15) >> 32;
}

// Finds or takes the site's place. A place whose site was quiet for a whole minute may be taken
// over: its budget is full again anyway.
Budget* place_of(Budget* table, u64 site, u32 minute) {
  const u64 start = mixed(site);
  for (u32 i = 0; i < probes; ++i) {
    Budget& place = table[(start + i) % budget_count];
    if (load(place.site) == site || swap_if(place.site, 0, site) || load(place.site) == site) {
      return &place;
    }
  }
  for (u32 i = 0; i < probes; ++i) {
    Budget& place = table[(start + i) % budget_count];
    const u64 other = load(place.site);
    if (minute - minute_in(load(place.minute_and_heals)) > 1 && swap_if(place.site, other, site)) {
      __atomic_store_n(&place.minute_and_heals, u64{minute} << 32, __ATOMIC_RELAXED);
      __atomic_store_n(&place.heals_ever, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&place.addresses, 0, __ATOMIC_RELAXED);
      return &place;
    }
  }
  return nullptr;
}

u64 count_heal(Budget& place, u32 minute) {
  for (;;) {
    const u64 seen = load(place.minute_and_heals);
    const u64 next = minute_in(seen) == minute ? seen + 1 : (u64{minute} << 32) + 1;
    if (swap_if(place.minute_and_heals, seen, next)) {
      return next & 0xffff'ffff;
    }
  }
}

}  // namespace

BudgetUse budget_spend(const Journal& journal, u64 site, u64 fault_address, u64 now_ns) {
  Budget* const table = journal.budgets();
  const u32 minute = static_cast<u32>(now_ns / minute_ns);
  Budget* const place = table == nullptr ? nullptr : place_of(table, site == 0 ? 1 : site, minute);
  if (place == nullptr) {
    return {1, 1};
  }
  const u64 bit = u64{1} << (mixed(fault_address) % 64);
  const u64 addresses = __atomic_or_fetch(&place->addresses, bit, __ATOMIC_RELAXED);
  add(place->heals_ever, 1);
  return {count_heal(*place, minute), static_cast<u32>(__builtin_popcountll(addresses))};
}

}  // namespace selfheal::store
