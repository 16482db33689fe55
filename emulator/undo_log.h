// The undo log: what a region did, in order, so that it can be taken back.
//
//   memory ──►  ┌─────────┬─────────┬───────────┬─────────┬──── free ────┐
//               │ bytes   │ bytes   │ action    │ bytes   │              │
//               │ @a, old │ @b, old │ free(p)   │ @p, old │              │
//               └─────────┴─────────┴───────────┴─────────┴──────────────┘
//   rollback    ◄──────────────── newest first ─────────────────────────
//
// Bytes and actions share one log because their order matters: the bytes written into a fresh heap
// chunk go back before the chunk is freed. A record ends in its own header, so that the log can be
// walked backwards. What must not happen before the region is sure to succeed (free, close, munmap)
// is deferred: a second list, run at commit, dropped at rollback.
//
// One log per thread, used only by its thread. No lock, no allocation, no libc on the saving path;
// the memory is given by the owner and touched only as it fills. Saving reads guest memory and so
// may fault: nothing has been appended then, and the fault is the guest's own (see take_fault).
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

// Compensations, run at rollback, newest first. See actions.h for what each does.
enum class Action : u32;
// Effects held back until commit, run oldest first.
enum class Deferred : u32;

struct RollbackResult {
  u64 bytes;    // restored
  u32 actions;  // run
  u32 failed;   // that could not be undone (an atomic somebody else changed since, a lock gone)
};

class UndoLog {
 public:
  // Takes `size` bytes of zero memory at `memory`; the owner keeps and unmaps it.
  void attach(u64 memory, u64 size);
  bool attached() const { return limit_ != 0; }

  // Before a store: keeps the `size` bytes at `address`. False: the log is full, nothing was kept.
  [[nodiscard]] bool save(u64 address, u64 size);

  // The same for 1, 2, 4 or 8 bytes, inline for the interpreter's own stores.
  template <typename T>
  [[nodiscard]] bool save_value(u64 address) {
    static_assert(sizeof(T) <= 8);
    if (cursor_ + 3 * sizeof(u64) > limit_) {
      return false;
    }
    u64 old = 0;
    __builtin_memcpy(&old, pointer_to<const void>(address), sizeof(T));
    u64* record = pointer_to<u64>(cursor_);
    record[0] = old;
    record[1] = address;
    record[2] = sizeof(T);  // tag of a bytes record: kind 0 in the high half
    cursor_ += 3 * sizeof(u64);
    return true;
  }

  [[nodiscard]] bool action(Action action, u64 a, u64 b = 0, u64 c = 0);
  // Takes back the newest action that equals this one, when it is no longer needed (a lock released
  // inside the region that took it). False when there is none.
  bool cancel(Action action, u64 a);

  [[nodiscard]] bool defer(Deferred effect, u64 a, u64 b = 0);
  bool deferred(Deferred effect, u64 a) const;
  // Runs what is deferred now: before a call that may block or that shows our state to others.
  void run_deferred();

  void note_irrevocable(u32 system_call);
  u32 irrevocable() const { return irrevocable_; }
  const u32* irrevocable_calls() const { return irrevocable_calls_; }  // the first 8

  bool empty() const { return cursor_ == start_ && deferred_count_ == 0 && irrevocable_ == 0; }
  u64 used() const { return cursor_ - start_; }

  // Puts every byte back and runs the actions, newest first; drops what was deferred.
  RollbackResult rollback();
  // Forgets what was kept; runs what was deferred.
  void commit();

 private:
  static constexpr u32 max_deferred = 512;
  struct DeferredEffect {
    Deferred effect;
    u32 reserved;
    u64 a;
    u64 b;
  };

  void clear();

  u64 start_ = 0;
  u64 cursor_ = 0;
  u64 limit_ = 0;
  DeferredEffect* deferred_ = nullptr;  // at the end of the memory
  u32 deferred_count_ = 0;
  u32 irrevocable_ = 0;
  u32 irrevocable_calls_[8] = {};
};

}  // namespace selfheal::emulator
