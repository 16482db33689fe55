// From an address to a chunk, and to a verdict about an access. Pure reads: signal handlers and the
// engine, between two guest instructions, call this. No calls into libc.
#include "probes/heap/chunks.h"
#include "probes/heap/sites.h"

namespace selfheal::probes::heap {
namespace {

// How far an address is from a chunk's bytes; 0: inside.
u64 distance(u64 address, const Slot& slot) {
  const u64 begin = slot.begin.load(std::memory_order_relaxed);
  const u64 end = begin + slot.asked;
  return address < begin ? begin - address : address >= end ? address - end + 1 : 0;
}

bool known(const Slot& slot) {
  return slot.begin.load(std::memory_order_acquire) != 0;
}

bool accessible(SlotState state) {
  return state == SlotState::live || state == SlotState::delayed;
}

// A red zone or guard page belongs to the nearer of its neighbours; one still in use comes first.
void prefer_neighbour(u64 address, Place& place) {
  const u32 candidates[] = {place.index - 1, place.index + 1};
  for (const u32 index : candidates) {
    if (index >= place.size_class->count) {
      continue;
    }
    const Place other{place.size_class, index};
    const Slot& theirs = other.slot();
    const Slot& ours = place.slot();
    if (known(theirs) && (!known(ours) || distance(address, theirs) < distance(address, ours))) {
      place = other;
    }
  }
}

}  // namespace

ChunkInfo info_of(const Place& place) {
  const Slot& slot = place.slot();
  return {slot.begin.load(std::memory_order_relaxed), slot.asked, slot.allocated_at, slot.freed_at,
          accessible(slot.state.load(std::memory_order_acquire))};
}

bool find_chunk(u64 address, ChunkInfo& chunk) {
  Place place{};
  if (!arena.find(address, place)) {
    return false;
  }
  if (!known(place.slot()) || distance(address, place.slot()) != 0) {
    prefer_neighbour(address, place);
  }
  if (!known(place.slot())) {
    return false;
  }
  chunk = info_of(place);
  return true;
}

FaultKind check_access(u64 address, u64 size, bool write) {
  Place place{};
  if (!arena.find(address, place)) {
    return FaultKind::none;
  }
  const Slot& slot = place.slot();
  const u64 begin = slot.begin.load(std::memory_order_acquire);
  const u64 end = begin + slot.extent;
  const bool touches = address < end && address + size > begin;
  const bool inside = address >= begin && address + size <= end;
  if (inside || (touches && !write)) {
    return accessible(slot.state.load(std::memory_order_acquire)) ? FaultKind::none
                                                                  : FaultKind::use_after_free;
  }
  ChunkInfo nearest{};
  if (find_chunk(address, nearest) && !nearest.live) {
    return FaultKind::use_after_free;
  }
  return FaultKind::heap_overflow;
}

u64 arena_begin() {
  return arena.base();
}

u64 arena_size() {
  return arena.size();
}

Release judge_release(u64 pointer, u64 site) {
  Place place{};
  const bool ours = arena.holds(pointer);
  if (ours && live_chunk(pointer, place)) {
    place.slot().freed_at = site;  // a region's free is made when it has returned, by the engine
    return Release::pass;
  }
  const SiteRule rule = rule_of(site);
  if (!rule.has(Remedy::ignore_free)) {
    return ours ? Release::refuse : Release::pass;
  }
  // Of somebody else's memory only what no allocator hands out is known to be no chunk.
  if (!ours && pointer % 16 == 0 && !reports.never_heap(pointer)) {
    return Release::pass;
  }
  return reports.ignored(pointer, site, rule.owner) ? Release::ignore : Release::refuse;
}

}  // namespace selfheal::probes::heap
