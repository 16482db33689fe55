// The set of installed patches. A patch's index is its region's index, and the index of everything
// the runtime keeps about a region.
//
// Lookups (everything const) are lock-free and safe in signal handlers. Changes take one lock, by
// try only: Refusal::busy means another thread is at it. They make system calls (open, read,
// pwrite, membarrier, memfd_create, mmap with PROT_EXEC), so never call them in a sandbox that
// kills on one of these. How code is changed under running threads: live_patch.h.
#pragma once

#include <atomic>

#include "lib/patch/plan.h"
#include "lib/patch/stubs.h"

namespace selfheal::patch {

enum class Threads : u8 {
  one,   // the caller knows that no other thread exists: start-up, a fork child
  many,  // other threads may be running anywhere
};

struct RegionSpec {
  Function function;
  u64 text_low = 0;   // the module's executable segment, searched for branches from elsewhere into
  u64 text_high = 0;  // the entry; 0: not searched
  bool allow_trap = true;
};

struct Installed {
  i32 index;        // -1: not installed, see refusal
  Refusal refusal;  // with index >= 0 and an int3: why it is not a jump
  How how;
};

enum class PatchState : u8 {
  free,      // never used
  removed,   // original bytes are back; the cell stays
  vanished,  // its module was unloaded; the slot may be taken again
  pending,   // int3, to become a jump when no thread stands inside the entry
  trap,      // int3 for good
  jump,
};

class Patcher {
 public:
  constexpr Patcher() = default;

  // Once, before the first install. `enter_target_offset`: see Stubs. Registers for membarrier.
  void start(i32 enter_target_offset);

  // Diverts the function's entry to its stub. An entry installed before gets its old index back.
  Installed install(const RegionSpec& spec, Threads threads);

  // Puts the original bytes back. True when they are back (or the region was not installed).
  bool uninstall(u32 index, Threads threads);

  // Turns pending int3 patches into jumps where that has become safe; one load when none is
  // pending. Returns how many are still pending.
  u32 upgrade_pending(Threads threads) {
    return pending_.load(std::memory_order_relaxed) == 0 ? 0 : upgrade(threads);
  }

  // After modules changed: forgets patches whose text is gone. Never writes to text. Returns how
  // many were forgotten.
  u32 drop_vanished();

  // In a fork child: the lock may have been held by a thread that is no more.
  void after_fork_in_child();

  // Copies code from memory, with the original bytes where a patch lies. The caller vouches that
  // [address, address+size) can be read.
  void original_bytes(u64 address, u8* buffer, u64 size) const;

  // For SIGTRAP: `rip` as the signal frame has it (behind the int3). Where to go on; 0: not ours.
  u64 trap_target(u64 rip) const;

  // The address in the original function that an address in a cell stands for (a fault in a moved
  // instruction); `address` itself when it is in none of our cells.
  u64 original_address(u64 address) const;

  // The region whose function entry (or patch address) is `address`; -1: none.
  i32 find(u64 address) const;

  bool enabled(u32 index) const;
  PatchState state(u32 index) const;
  u64 entry(u32 index) const;        // the function's first byte (endbr64 included)
  u64 native_path(u32 index) const;  // what selfheal_enter_native jumps to
  u32 count() const { return count_.load(std::memory_order_acquire); }

 private:
  struct Slot {
    std::atomic<PatchState> state{PatchState::free};
    u64 entry = 0;
    u64 end = 0;
    u64 cell = 0;
    Plan plan{};
  };

  u32 upgrade(Threads threads);

  Stubs stubs_;
  std::atomic<u32> lock_{0};
  std::atomic<u32> count_{0};  // slots ever used
  std::atomic<u32> pending_{0};
  Slot slots_[max_regions];
};

}  // namespace selfheal::patch
