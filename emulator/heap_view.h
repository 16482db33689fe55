// What the engine asks about heap chunks, where an allocation probe knows them: is this access
// within the bounds of a live chunk? Asked before the access is made, so an overflow or a use after
// free inside a region is a fault that has damaged nothing yet.
//
// Checked: every store, and the loads that the interpreter makes itself. Loads by vector
// instructions and by atomic ones are the processor's; guard pages see those.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/types.h"

namespace selfheal::emulator {

struct HeapView {
  // Where chunks may be; size 0: nobody knows any.
  u64 begin;
  u64 size;
  // FaultKind::none: the access is fine. Called between two guest instructions: no libc, no vector
  // registers, no lock.
  FaultKind (*check)(u64 address, u64 bytes, bool write);
  // The guest is about to free `pointer`, returning to `site`.
  enum class Release : u8 { pass, ignore, refuse };
  Release (*judge)(u64 pointer, u64 site);

  bool holds(u64 address) const { return address - begin < size; }
};

// Set once, by watch_heap, while no region runs or before the arena is used.
extern constinit HeapView heap_view;

inline void watch_heap(const HeapView& view) {
  heap_view.check = view.check;
  heap_view.judge = view.judge;
  heap_view.begin = view.begin;
  __atomic_store_n(&heap_view.size, view.size, __ATOMIC_RELEASE);
}

}  // namespace selfheal::emulator
