// A grace period: until every thread that existed at its begin has been seen outside of some
// addresses, or has ended. Proof and use: live_patch.h. Reads /proc/self/task; without it nothing
// is ever known and the period never ends. Uses no memory but its own.
#pragma once

#include <array>
#include <span>

#include "lib/base/types.h"
#include "lib/patch/plan.h"

namespace selfheal::patch {

struct Range {
  u64 first;
  u64 last;

  bool holds(u64 address) const { return address - first <= last - first; }
};

class Grace {
 public:
  constexpr Grace() = default;

  // Lists the threads. False: they cannot be told, or are too many.
  bool begin();

  // Looks at those not seen yet. True when none is left.
  bool poll(std::span<const Range> ranges);

  bool active() const { return active_; }
  void abandon() { active_ = false; }
  u32 unseen() const { return count_; }

 private:
  static constexpr u32 max_threads = 2048;

  std::array<i32, max_threads> threads_{};
  u32 count_ = 0;
  bool active_ = false;
};

// Refusal::none when every thread can take a SIGTRAP now. A thread that has it blocked would not
// get it: the kernel ends the process instead.
Refusal threads_can_trap();

// How many threads this process has; 0: cannot be told.
u32 thread_count();

}  // namespace selfheal::patch
