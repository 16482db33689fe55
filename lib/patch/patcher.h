// The set of installed patches. A patch's index is its region's index, and the index of everything
// the runtime keeps about a region.
//
//      free ──install──► pending ──grace period──► jump ─┐
//        ▲                  │                       ▲    ├─uninstall─► removed ─install─► (again)
//        │                  └── or at once ─────────┘    │
//        └─(slot reused)─ vanished ◄─modules_changed─────┘   trap: like jump, but an int3 for good
//
// Lookups (everything const) are lock-free and safe in signal handlers. Changes take one lock, by
// try only: Refusal::busy means another thread is at it. They make system calls (open, pread,
// pwrite, getdents, membarrier, memfd_create, mmap with PROT_EXEC), so never call them in a sandbox
// that kills on one of these. How code is changed under running threads: live_patch.h.
//
// Needs of the SIGTRAP handler while other threads run: for each SIGTRAP with si_code SI_KERNEL,
// ask trap_target(rip) and go on there with every register as it was; it may be asked about an int3
// that has meanwhile become a jump or been taken away.
#pragma once

#include <atomic>

#include "lib/patch/grace.h"
#include "lib/patch/plan.h"
#include "lib/patch/stubs.h"

namespace selfheal::patch {

enum class Threads : u8 {
  one,   // the caller knows that no other thread exists: start-up, a fork child
  many,  // other threads may be running anywhere
};

struct RegionSpec {
  Function function;
  u64 text_low = 0;   // the module's executable segment, searched for branches from elsewhere
  u64 text_high = 0;  // into the entry; 0: not searched
  CodeAt code_at = nullptr;  // image's function bounds, for its neighbours; null: not searched
  void* context = nullptr;   // handed to code_at
  bool allow_trap = true;
  i32 stack_limit_offset = 0;  // not 0: the entry is no way into the engine, but checks the stack
  u64 replacement = 0;  // not 0: no region; calls go to this function, for good, on all threads
  u64* native_path = nullptr;  // gets the native path before the first call can need it
};

struct Installed {
  i32 index;        // -1: not installed, see refusal
  Refusal refusal;  // with How::trap: why it is not a jump
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

  // Once, before the first install. Offsets: see Stubs. Registers for membarrier.
  void start(i32 enter_target_offset, i32 refuse_target_offset = 0);

  // Diverts the function's entry to its stub. An entry installed before gets its old index back,
  // and a new cell if it is to be another kind of entry now.
  Installed install(const RegionSpec& spec, Threads threads);

  // Puts the original bytes back. True when they are back (or the region was not installed).
  bool uninstall(u32 index, Threads threads);

  // Turns pending int3 patches into jumps where that has become safe; one load when none is
  // pending. Returns how many are still pending.
  u32 upgrade_pending() { return pending_.load(std::memory_order_relaxed) == 0 ? 0 : upgrade(); }

  // For watch_modules: before modules are unmapped, waits (at most a second) until nobody is
  // writing to text, and keeps everybody from it until modules_changed; then patches whose text is
  // gone are forgotten. Never writes to text, takes no lock of the loader's.
  void modules_unloading();
  void modules_changed();

  // In a fork child: the lock may have been held by a thread that is no more, and every pending
  // patch can become a jump.
  void after_fork_in_child();

  // Copies code from memory, with the original bytes where a patch lies. The caller vouches that
  // [address, address+size) can be read.
  void original_bytes(u64 address, u8* buffer, u64 size) const;

  // The same for bytes already copied from `address` (image::OriginalBytesHook).
  void restore_originals(u64 address, u8* buffer, u64 size) const;

  // For SIGTRAP: `rip` as the signal frame has it (behind the int3). Where to go on; 0: not ours.
  u64 trap_target(u64 rip) const;

  // The address in the original function that an address in a cell stands for (a fault in a moved
  // instruction); `address` itself when it is in none of our cells.
  u64 original_address(u64 address) const;

  // The other way: where to go on natively at an instruction of a function whose entry is patched.
  // Its first bytes are the patch: going there would enter the region again, for ever, or land in
  // the middle of the jump. `address` itself when no patch lies there.
  u64 native_address(u64 address) const;

  // A call that has got into a cell, but not out of it, is still as good as at the patched
  // instruction: there, with the stack pointer `pushed` bytes higher. `at` 0: not such a place.
  struct Entering {
    u64 at;
    u64 pushed;
  };
  Entering entering(u64 address) const;

  // The region installed at function entry (or patch address) `address`; -1: none.
  i32 find(u64 address) const;

  // Calls of the region go to its stub.
  bool enabled(u32 index) const;
  bool diverted(u32 index) const;  // installed with a replacement: not a region
  PatchState state(u32 index) const;
  u64 entry(u32 index) const;        // the function's first byte (endbr64 included)
  u64 native_path(u32 index) const;  // what selfheal_enter_native jumps to
  const Plan& plan(u32 index) const { return slots_[index].plan; }
  u32 count() const { return count_.load(std::memory_order_acquire); }  // indices ever used

 private:
  struct Slot {
    std::atomic<PatchState> state{PatchState::free};
    bool in_grace = false;  // the running grace period counts for it
    u64 replacement = 0;
    u64 entry = 0;
    u64 cell = 0;
    i32 stack_limit_offset = 0;
    Plan plan{};
  };

  bool try_lock();
  void unlock();
  void drop_vanished();
  u32 upgrade();
  u32 advance();
  i32 slot_for(u64 entry) const;
  Refusal prepare(u32 index, const RegionSpec& spec);
  bool entered_from_outside(const RegionSpec& spec, u64 first, u64 last) const;
  Refusal put(Slot& slot, Threads threads);
  Refusal take_back(Slot& slot, Threads threads);
  void complete_in_grace();
  void set_state(Slot& slot, PatchState state);

  Stubs stubs_;
  Grace grace_;
  std::atomic<u32> lock_{0};
  std::atomic<bool> unloading_{false};  // the lock is held by modules_unloading
  std::atomic<bool> stale_{false};      // modules changed while the lock was held
  std::atomic<u32> count_{0};
  std::atomic<u32> pending_{0};
  Slot slots_[max_regions];
};

}  // namespace selfheal::patch
