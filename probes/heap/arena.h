// The memory that checked chunks live in, and what is known of each: found from any address by
// arithmetic, without a lock.
//
//   one reservation, one equal span of addresses for each size class
//   ┌──────────┬──────────┬─── ... ──┬───────────────┬───────────────┬── ... ──┐
//   │ 64 bytes │ 96 bytes │          │ 1 page+guard  │ 2 pages+guard │         │
//   └──────────┴──────────┴─── ... ──┴───────────────┴───────────────┴── ... ──┘
//    plain: red zones                 guarded: placed against a page without access
//
//   plain slot    │▒▒▒▒ 16 │ chunk ....... padding │▒▒ at least 16 ▒▒│ next slot
//   guarded slot  │ ........... chunk .... padding │█ guard page █│ next slot
//
// Plain slots cost a pair of red zones (▒): the engine sees an access to them before it happens,
// native code is found out when the chunk is freed. Guarded slots cost a page and two mappings:
// the processor itself stops native code at the very instruction (Electric Fence, Perens 1987;
// sampled and limited in number as in GWP-ASan, Serebryany et al., 2024).
//
// What is known of a chunk lies in a table elsewhere, out of an overflow's reach. All changes are
// single atomic operations: a thread that is interrupted by a signal, or is not there any more in a
// fork child, leaves at most one slot unused, never a lock.
#pragma once

#include <atomic>

#include "lib/base/types.h"

namespace selfheal::probes::heap {

enum class SlotState : u32 {
  free,         // never used, or on the free list
  live,         //
  quarantined,  // freed; reused late
  delayed,      // freed, but kept as it is (Remedy::delay_free): still good to read and write
};

struct Slot {
  std::atomic<u64> begin;  // of the chunk; 0: never used
  std::atomic<SlotState> state;
  std::atomic<u32> next;  // on the free list: index + 1
  u32 asked;              // bytes
  u32 extent;             // asked + padding: what may be accessed
  u64 allocated_at;       // return addresses
  u64 freed_at;
};

// The last so many slots of a class that were put in. Bounded memory without a lock: a ticket, and
// whoever was in that place before is out.
class Ring {
 public:
  void start(std::atomic<u32>* cells, u32 size) {
    cells_ = cells;
    size_ = size;
  }
  // The slot (index + 1) that had to leave; 0: none.
  u32 put(u32 index) {
    if (size_ == 0) {
      return index + 1;
    }
    const u32 at = ticket_.fetch_add(1, std::memory_order_relaxed) % size_;
    return cells_[at].exchange(index + 1, std::memory_order_acq_rel);
  }

 private:
  std::atomic<u32>* cells_ = nullptr;
  u32 size_ = 0;
  std::atomic<u32> ticket_{0};
};

inline constexpr u64 red_zone = 16;
inline constexpr u64 plain_largest = 32768 - 2 * red_zone;

struct SizeClass {
  u32 slot_size;  // guarded: with the guard page
  u32 count;      // slots there is room for
  bool guarded;
  u64 first;  // address of slot 0
  Slot* slots;
  std::atomic<u32> fresh;       // slots ever used
  std::atomic<u64> free_slots;  // count of changes : 32 | index + 1 : 32
  Ring quarantine;
  Ring delayed;

  u64 slot_begin(u32 index) const { return first + u64{index} * slot_size; }
  // Bytes a chunk with its padding may have.
  u64 capacity() const { return guarded ? slot_size - page_size : slot_size - 2 * red_zone; }
};

struct Place {
  SizeClass* size_class;
  u32 index;
  Slot& slot() const { return size_class->slots[index]; }
};

// May the arena change mappings (a seccomp filter may forbid it)? Set before the first chunk.
using MayMap = bool (*)();

class Arena {
 public:
  // Reserves addresses: as many as the process's limits and the system let it have, up to 32 GiB.
  // Once, by one thread. False: not even the least.
  bool reserve(u64 address_limit, MayMap may_map);

  bool holds(u64 address) const { return address - base_ < size_; }
  u64 base() const { return base_; }
  u64 size() const { return size_; }

  // The slot that an address of the arena lies in, or is the red zone or guard page of. False: of
  // none.
  bool find(u64 address, Place& place) const;

  // An unused slot for `size` bytes, accessible; its fields are the caller's to fill. False: none.
  bool take(u64 size, bool guarded, Place& place);
  // Its memory is not needed any more: guarded slots lose access and content at once. False: they
  // could not, and must not be given back.
  bool retire(const Place& place);
  // The slot may be used again.
  void give_back(const Place& place);

  // Guarded slots in use: each costs two mappings, of which a process has 65,530.
  u32 guarded_live() const { return guarded_live_.load(std::memory_order_relaxed); }

 private:
  bool map(unsigned span_bits);
  bool lay_out(unsigned span_bits);
  bool take_from(SizeClass& size_class, Place& place);

  u64 base_ = 0;
  u64 size_ = 0;
  unsigned span_bits_ = 0;
  MayMap may_map_ = nullptr;
  std::atomic<u32> guarded_live_{0};
};

extern constinit Arena arena;

}  // namespace selfheal::probes::heap
