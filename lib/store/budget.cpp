#include "lib/store/budget.h"

#include "lib/store/shared.h"

namespace selfheal::store {
namespace {

constexpr u32 probes = 16;
constexpr u64 second_ns = 1'000'000'000;
constexpr u64 minute_ns = 60 * second_ns;
constexpr u64 day = 86400;
constexpr u64 trips_fade_after = 3600;

u32 minute_in(u64 minute_and_count) {
  return static_cast<u32>(minute_and_count >> 32);
}

u64 mixed(u64 value) {  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4): the high bits are good
  return (value * 0x9e37'79b9'7f4a'7c15) >> 32;
}

// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), keyed: neighbouring pages fall
// anywhere, and who does not know the secret cannot choose pages that collide.
u64 keyed_hash(u64 value, u64 secret) {
  u64 mix = value ^ secret;
  mix = (mix ^ mix >> 30) * 0xbf58'476d'1ce4'e5b9;
  mix = (mix ^ mix >> 27) * 0x94d0'49bb'1331'11eb;
  return mix ^ mix >> 31;
}

Budget* find(Budget* table, u64 key) {
  const u64 start = mixed(key);
  for (u32 i = 0; i < probes && table != nullptr; ++i) {
    Budget& place = table[(start + i) % budget_count];
    if (load(place.key) == key) {
      return &place;
    }
  }
  return nullptr;
}

void wipe(Budget& place, u64 minute) {
  __atomic_store_n(&place.minute_and_count, minute << 32, __ATOMIC_RELAXED);
  __atomic_store_n(&place.ever, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&place.open, 0, __ATOMIC_RELAXED);
  for (u64& word : place.pages) {
    __atomic_store_n(&word, 0, __ATOMIC_RELAXED);
  }
}

// May another key have it? A place that was quiet for a whole minute, and whose breaker never
// opened: its budget is full again anyway.
bool quiet(const Budget& place, u32 minute) {
  return minute - minute_in(load(place.minute_and_count)) > 1 && load(place.open) == 0;
}

Budget* find_or_take(Budget* table, u64 key, u32 minute) {
  if (table == nullptr) {
    return nullptr;
  }
  if (Budget* known = find(table, key)) {
    return known;
  }
  const u64 start = mixed(key);
  for (u32 i = 0; i < probes; ++i) {
    Budget& place = table[(start + i) % budget_count];
    if (swap_if(place.key, 0, key) || load(place.key) == key) {
      return &place;
    }
  }
  for (u32 i = 0; i < probes; ++i) {
    Budget& place = table[(start + i) % budget_count];
    const u64 other = load(place.key);
    if (quiet(place, minute) && swap_if(place.key, other, key)) {
      wipe(place, minute);
      return &place;
    }
  }
  return nullptr;
}

u64 count_in_minute(Budget& place, u32 minute) {
  for (;;) {
    const u64 seen = load(place.minute_and_count);
    const u64 next = minute_in(seen) == minute ? seen + 1 : (u64{minute} << 32) + 1;
    if (swap_if(place.minute_and_count, seen, next)) {
      return next & 0xffff'ffff;
    }
  }
}

u32 count_page(Budget& place, u64 page, u64 secret) {
  if (page != 0) {
    const u64 bit = keyed_hash(page, secret) % 256;
    __atomic_fetch_or(&place.pages[bit / 64], u64{1} << bit % 64, __ATOMIC_RELAXED);
  }
  u32 count = 0;
  for (const u64& word : place.pages) {
    count += static_cast<u32>(__builtin_popcountll(load(word)));
  }
  return count;
}

u64 not_zero(u64 key) {
  return key == 0 ? 1 : key;
}

u32 minute_of(u64 now_ns) {
  return static_cast<u32>(now_ns / minute_ns);
}

}  // namespace

BudgetUse budget_spend(const Journal& journal, u64 key, u64 address, u64 now_ns) {
  const u32 minute = minute_of(now_ns);
  Budget* const place = find_or_take(journal.budgets(), not_zero(key), minute);
  if (place == nullptr) {
    return {1, 1, 0};
  }
  const u64 ever = __atomic_add_fetch(&place->ever, 1, __ATOMIC_RELAXED);
  return {count_in_minute(*place, minute), ever,
          count_page(*place, address >> 12, journal.secret())};
}

void budget_open(const Journal& journal, u64 key, u64 base_seconds, u64 now_ns) {
  Budget* const place = find_or_take(journal.budgets(), not_zero(key), minute_of(now_ns));
  const u64 now = now_ns / second_ns;
  for (;;) {
    if (place == nullptr) {
      return;
    }
    const u64 seen = load(place->open);
    const u64 until = seen >> 16;
    if (until > now) {
      return;  // somebody was faster
    }
    const u64 trips = until + trips_fade_after > now ? seen & 0xffff : 0;
    const u64 longer = trips < 16 ? base_seconds << trips : day;
    const u64 end = base_seconds == 0 ? forever : now + (longer < day ? longer : day);
    if (swap_if(place->open, seen, end << 16 | (trips + 1))) {
      return;
    }
  }
}

u64 budget_open_until(const Journal& journal, u64 key, u64 now_ns) {
  const Budget* const place = find(const_cast<Budget*>(journal.budgets_to_read()), not_zero(key));
  const u64 until = place == nullptr ? 0 : load(place->open) >> 16;
  return until > now_ns / second_ns ? until : 0;
}

u64 budget_spent(const Journal& journal, u64 key) {
  const Budget* const place = find(const_cast<Budget*>(journal.budgets_to_read()), not_zero(key));
  return place == nullptr ? 0 : load(place->ever);
}

void budget_reset(const Journal& journal, u64 key) {
  if (Budget* const place = find(journal.budgets(), not_zero(key))) {
    wipe(*place, 0);
  }
}

void budget_reset_groups(const Journal& journal) {
  Budget* const table = journal.budgets();
  for (u32 i = 0; table != nullptr && i < budget_count; ++i) {
    if (load(table[i].key) >> 63 != 0) {
      wipe(table[i], 0);
    }
  }
}

}  // namespace selfheal::store
