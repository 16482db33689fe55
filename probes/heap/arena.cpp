#include "probes/heap/arena.h"

#include <sys/mman.h>

#include "lib/base/raw_syscall.h"

namespace selfheal::probes::heap {

constinit Arena arena;

namespace {

// Plain slots, in bytes: a quarter is lost at most.
constexpr u32 plain_sizes[] = {64,   96,   128,  192,  256,  384,   512,   768,   1024, 1536,
                               2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768};
// Guarded slots, in pages without the guard. From 16 on: what is too large for a plain slot.
constexpr u32 guarded_pages[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

constexpr u32 plain_count = std::size(plain_sizes);
constexpr u32 class_count = plain_count + std::size(guarded_pages);
constexpr u32 most_slots = 1 << 20;
constexpr u32 most_guarded_slots = 1 << 14;

// How much freed memory a class keeps: in quarantine, and on purpose (Remedy::delay_free). The
// quarantine of guarded slots holds addresses only.
constexpr u64 quarantine_bytes = 256 * 1024;
constexpr u64 delayed_bytes = 2 * 1024 * 1024;
constexpr u32 most_in_ring = 8192;
constexpr u32 guarded_quarantine = 2048;

constexpr unsigned largest_span_bits = 30;
constexpr unsigned least_span_bits = 22;

constinit SizeClass classes[class_count] = {};

u64 map_memory(u64 size, int protection) {
  const long at =
      raw_syscall(SYS_mmap, 0, size, static_cast<u64>(protection),
                  static_cast<u64>(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE), ~u64{0}, 0);
  return syscall_failed(at) ? 0 : static_cast<u64>(at);
}

u32 ring_size(u64 bytes, u32 slot_size) {
  const u64 fitting = bytes / slot_size;
  return fitting < 2 ? 2 : fitting > most_in_ring ? most_in_ring : static_cast<u32>(fitting);
}

}  // namespace

bool Arena::reserve(u64 address_limit, MayMap may_map) {
  may_map_ = may_map;
  for (unsigned bits = largest_span_bits; bits >= least_span_bits; bits -= 2) {
    const u64 wanted = u64{class_count} << bits;
    if (wanted <= address_limit && map(bits)) {
      return true;
    }
  }
  return false;
}

bool Arena::map(unsigned span_bits) {
  const u64 size = u64{class_count} << span_bits;
  const u64 base = map_memory(size, PROT_NONE);
  if (base == 0) {
    return false;
  }
  base_ = base;
  span_bits_ = span_bits;
  const u64 plain_size = u64{plain_count} << span_bits;
  if (syscall_failed(raw_syscall(SYS_mprotect, base, plain_size, PROT_READ | PROT_WRITE)) ||
      !lay_out(span_bits)) {
    raw_syscall(SYS_munmap, base, size);
    base_ = 0;
    return false;
  }
  // A slot in use must not cost two mebibytes.
  raw_syscall(SYS_madvise, base, plain_size, MADV_NOHUGEPAGE);
  size_ = size;
  return true;
}

// The tables of all classes lie in one mapping; only what is used of it becomes resident.
bool Arena::lay_out(unsigned span_bits) {
  u64 needed = 0;
  for (u32 i = 0; i < class_count; ++i) {
    SizeClass& c = classes[i];
    c.guarded = i >= plain_count;
    c.slot_size = c.guarded ? (guarded_pages[i - plain_count] + 1) * static_cast<u32>(page_size)
                            : plain_sizes[i];
    // A page without access comes first: the left neighbour of the first guarded slot.
    c.first = base_ + (u64{i} << span_bits) + (c.guarded ? page_size : 0);
    const u64 fitting = ((u64{1} << span_bits) - page_size) / c.slot_size;
    const u32 most = c.guarded ? most_guarded_slots : most_slots;
    c.count = fitting < most ? static_cast<u32>(fitting) : most;
    needed += c.count * sizeof(Slot) + 2 * most_in_ring * sizeof(u32);
  }
  u64 at = map_memory(page_up(needed), PROT_READ | PROT_WRITE);
  if (at == 0) {
    return false;
  }
  for (SizeClass& c : classes) {
    c.slots = pointer_to<Slot>(at);
    at += c.count * sizeof(Slot);
    c.quarantine.start(pointer_to<std::atomic<u32>>(at),
                       c.guarded ? guarded_quarantine : ring_size(quarantine_bytes, c.slot_size));
    at += most_in_ring * sizeof(u32);
    c.delayed.start(pointer_to<std::atomic<u32>>(at), ring_size(delayed_bytes, c.slot_size));
    at += most_in_ring * sizeof(u32);
  }
  return true;
}

bool Arena::find(u64 address, Place& place) const {
  if (!holds(address)) {
    return false;
  }
  SizeClass& c = classes[(address - base_) >> span_bits_];
  const u64 inner = address < c.first ? 0 : address - c.first;  // before slot 0: its guard
  const u32 index = static_cast<u32>(inner) / c.slot_size;
  if (index >= c.count) {
    return false;
  }
  place = {&c, index};
  return true;
}

bool Arena::take_from(SizeClass& c, Place& place) {
  u64 head = c.free_slots.load(std::memory_order_acquire);
  while (static_cast<u32>(head) != 0) {
    const u32 index = static_cast<u32>(head) - 1;
    const u64 rest = ((head >> 32) + 1) << 32 | c.slots[index].next.load(std::memory_order_relaxed);
    if (c.free_slots.compare_exchange_weak(head, rest, std::memory_order_acq_rel)) {
      place = {&c, index};
      return true;
    }
  }
  if (c.fresh.load(std::memory_order_relaxed) >= c.count) {
    return false;
  }
  const u32 index = c.fresh.fetch_add(1, std::memory_order_relaxed);
  if (index >= c.count) {
    c.fresh.store(c.count, std::memory_order_relaxed);
    return false;
  }
  place = {&c, index};
  return true;
}

bool Arena::take(u64 size, bool guarded, Place& place) {
  for (u32 i = guarded ? plain_count : 0; i < (guarded ? class_count : plain_count); ++i) {
    SizeClass& c = classes[i];
    if (size > c.capacity()) {
      continue;
    }
    if (guarded && !may_map_()) {
      return false;
    }
    if (!take_from(c, place)) {
      return false;
    }
    if (guarded && syscall_failed(raw_syscall(SYS_mprotect, c.slot_begin(place.index), c.capacity(),
                                              PROT_READ | PROT_WRITE))) {
      give_back(place);
      return false;
    }
    guarded_live_.fetch_add(guarded ? 1 : 0, std::memory_order_relaxed);
    return true;
  }
  return false;
}

bool Arena::retire(const Place& place) {
  const SizeClass& c = *place.size_class;
  if (!c.guarded) {
    return true;
  }
  constexpr u64 flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (!may_map_() || syscall_failed(raw_syscall(SYS_mmap, c.slot_begin(place.index), c.capacity(),
                                                PROT_NONE, flags, ~u64{0}, 0))) {
    return false;
  }
  guarded_live_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void Arena::give_back(const Place& place) {
  SizeClass& c = *place.size_class;
  Slot& slot = place.slot();
  u64 head = c.free_slots.load(std::memory_order_relaxed);
  u64 changed = 0;
  do {
    slot.next.store(static_cast<u32>(head), std::memory_order_relaxed);
    changed = ((head >> 32) + 1) << 32 | (place.index + 1);
  } while (!c.free_slots.compare_exchange_weak(head, changed, std::memory_order_acq_rel));
}

}  // namespace selfheal::probes::heap
