#include "probes/heap/chunks.h"

#include "probes/heap/sites.h"

namespace selfheal::probes::heap {

constinit Reports reports{};

namespace {

constexpr u8 red = 0xd7;  // what red zones are filled with
constexpr u64 least_alignment = 16;
constexpr u64 longest_right_zone = 64;  // bytes that are filled and looked at

constinit std::atomic<bool> hunting{false};
constinit std::atomic<u32> sampled{0};

// Each guarded chunk in use costs two of the process's 65,530 mappings. The more there are, the
// rarer they become: what a server allocates at its start must not use up what its requests need.
constexpr u32 most_guarded = 14000;
constexpr u32 most_large = 28000;
constexpr u32 sampling_step = 1024;

bool wants_guard(const SiteRule& rule) {
  const u32 live = arena.guarded_live();
  if (rule.guard) {
    return live < most_guarded;
  }
  if (!hunting.load(std::memory_order_relaxed) || live >= most_guarded / 2) {
    return false;
  }
  const u32 every = 1U << (live / sampling_step);
  return sampled.fetch_add(1, std::memory_order_relaxed) % every == 0;
}

struct Zone {
  u64 begin;
  u64 size;
};

Zone left_zone(const Place& place, const Slot& slot) {
  const u64 begin = slot.begin.load(std::memory_order_relaxed);
  const u64 room = begin - place.size_class->slot_begin(place.index);
  return {begin - (room < red_zone ? room : red_zone), room < red_zone ? room : red_zone};
}

Zone right_zone(const Place& place, const Slot& slot) {
  const SizeClass& c = *place.size_class;
  const u64 end = c.slot_begin(place.index) + (c.guarded ? c.capacity() : c.slot_size);
  const u64 begin = slot.begin.load(std::memory_order_relaxed) + slot.extent;
  const u64 room = end - begin;
  return {begin, room < longest_right_zone ? room : longest_right_zone};
}

void fill(Zone zone) {
  __builtin_memset(pointer_to<void>(zone.begin), red, zone.size);
}

// The first byte of the zone that is not as it was filled; its size when all are.
u64 first_damage(Zone zone) {
  const u8* bytes = pointer_to<const u8>(zone.begin);
  u64 i = 0;
  while (i < zone.size && bytes[i] == red) {
    ++i;
  }
  return i;
}

bool padding_used(const Slot& slot) {
  const u8* padding = pointer_to<const u8>(slot.begin.load(std::memory_order_relaxed) + slot.asked);
  for (u32 i = 0; i < slot.extent - slot.asked; ++i) {
    if (padding[i] != 0) {
      return true;
    }
  }
  return false;
}

// Exterminator's check at the time of the free: whose neighbourhood was written to?
void inspect(const Place& place) {
  const Slot& slot = place.slot();
  const Zone right = right_zone(place, slot);
  const Zone left = left_zone(place, slot);
  if (const u64 at = first_damage(right); at != right.size) {
    reports.damaged(info_of(place), static_cast<i64>(slot.extent + at));
  } else if (const u64 before = first_damage(left); before != left.size) {
    reports.damaged(info_of(place), static_cast<i64>(before) - static_cast<i64>(left.size));
  }
  if (slot.extent != slot.asked && padding_used(slot)) {
    reports.absorbed(info_of(place), rule_of(slot.allocated_at).owner);
  }
}

void quarantine(const Place& place) {
  place.slot().state.store(SlotState::quarantined, std::memory_order_release);
  if (!arena.retire(place)) {
    return;  // still accessible, never used again
  }
  if (const u32 out = place.size_class->quarantine.put(place.index); out != 0) {
    const Place oldest{place.size_class, out - 1};
    oldest.slot().state.store(SlotState::free, std::memory_order_release);
    arena.give_back(oldest);
  }
}

void delay(const Place& place) {
  place.slot().state.store(SlotState::delayed, std::memory_order_release);
  if (const u32 out = place.size_class->delayed.put(place.index); out != 0) {
    quarantine({place.size_class, out - 1});
  }
}

}  // namespace

u64 allocate(u64 size, u64 alignment, u64 site, bool zero) {
  constexpr u64 largest = u64{1} << 24;
  const SiteRule rule = rule_of(site);
  const u64 padding = rule.has(Remedy::pad_allocation) ? rule.padding : 0;
  const u64 extent = size + padding;
  const u64 wanted_alignment = alignment < least_alignment ? least_alignment : alignment;
  if (size > largest || alignment > page_size) {
    return 0;
  }
  const u64 room = extent + wanted_alignment - least_alignment;
  Place place{};
  const bool large = room > plain_largest;
  if (large ? arena.guarded_live() >= most_large || !arena.take(room, true, place)
            : !(wants_guard(rule) && arena.take(room, true, place)) &&
                  !arena.take(room, false, place)) {
    return 0;
  }
  const SizeClass& c = *place.size_class;
  const u64 slot_begin = c.slot_begin(place.index);
  const u64 mask = ~(wanted_alignment - 1);
  u64 begin = (slot_begin + red_zone + wanted_alignment - 1) & mask;
  if (c.guarded) {
    begin = rule.before ? slot_begin : (slot_begin + c.capacity() - extent) & mask;
  }
  Slot& slot = place.slot();
  slot.asked = static_cast<u32>(size);
  slot.extent = static_cast<u32>(extent);
  slot.allocated_at = site;
  slot.freed_at = 0;
  slot.begin.store(begin, std::memory_order_relaxed);
  fill(left_zone(place, slot));
  fill(right_zone(place, slot));
  // Guarded memory is fresh from the kernel. Padding is zero, so that a string that lost its end
  // ends there.
  const bool all = zero || rule.has(Remedy::fill_allocation);
  if (!c.guarded && (all || padding != 0)) {
    __builtin_memset(pointer_to<void>(all ? begin : begin + size), 0, all ? extent : padding);
  }
  slot.state.store(SlotState::live, std::memory_order_release);
  return begin;
}

void release(u64 pointer, u64 site) {
  Place place{};
  if (!arena.find(pointer, place) ||
      place.slot().begin.load(std::memory_order_acquire) != pointer) {
    reject(pointer, site);
    return;
  }
  Slot& slot = place.slot();
  SlotState expected = SlotState::live;
  if (!slot.state.compare_exchange_strong(expected, SlotState::quarantined,
                                          std::memory_order_acq_rel)) {
    reject(pointer, site);
    return;
  }
  slot.freed_at = site != 0 ? site : slot.freed_at;
  inspect(place);
  if (rule_of(slot.freed_at).has(Remedy::delay_free)) {
    delay(place);
  } else {
    quarantine(place);
  }
}

void reject(u64 pointer, u64 site) {
  if (judge_release(pointer, site) == Release::ignore) {
    return;
  }
  ChunkInfo chunk{};
  reports.bad_free(pointer, find_chunk(pointer, chunk) ? &chunk : nullptr, site);
}

bool live_chunk(u64 pointer, Place& place) {
  return arena.find(pointer, place) &&
         place.slot().begin.load(std::memory_order_acquire) == pointer &&
         place.slot().state.load(std::memory_order_acquire) == SlotState::live;
}

// A guarded chunk has to stay against its guard.
bool resize_in_place(const Place& place, u64 size) {
  const SizeClass& c = *place.size_class;
  Slot& slot = place.slot();
  const u64 padding = slot.extent - slot.asked;
  const u64 end = c.slot_begin(place.index) + c.slot_size - red_zone;
  if (c.guarded || size > plain_largest || size < slot.asked / 2 ||
      slot.begin.load(std::memory_order_relaxed) + size + padding > end) {
    return false;
  }
  inspect(place);
  slot.asked = static_cast<u32>(size);
  slot.extent = static_cast<u32>(size + padding);
  fill(right_zone(place, slot));
  if (padding != 0) {
    __builtin_memset(pointer_to<void>(slot.begin.load(std::memory_order_relaxed) + size), 0,
                     padding);
  }
  return true;
}

void hunt(bool on) {
  hunting.store(on, std::memory_order_relaxed);
}

}  // namespace selfheal::probes::heap
