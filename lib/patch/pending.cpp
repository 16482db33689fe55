// Patches that are still an int3, on their way to a jump (live_patch.h).
#include "lib/patch/live_patch.h"
#include "lib/patch/patcher.h"

namespace selfheal::patch {

u32 Patcher::upgrade() {
  if (try_lock()) {
    advance();
    unlock();
  }
  return pending_.load(std::memory_order_relaxed);
}

// One step of the grace period; a new one begins for patches that came too late for the last.
u32 Patcher::advance() {
  static constinit Range ranges[max_regions] = {};  // under the lock
  for (unsigned round = 0; round < 2; ++round) {
    u32 waiting = 0;
    const bool fresh = !grace_.active();
    for (Slot& slot : std::span(slots_, count())) {
      if (slot.state.load(std::memory_order_relaxed) != PatchState::pending) {
        continue;
      }
      slot.in_grace = slot.in_grace || fresh;
      if (slot.in_grace) {
        ranges[waiting++] = {slot.plan.at + 1, slot.plan.at + jump_size - 1};
      }
    }
    if (waiting == 0) {
      grace_.abandon();
    } else if ((fresh && !grace_.begin()) || !grace_.poll({ranges, waiting})) {
      break;
    } else {
      complete_in_grace();
    }
    if (pending_.load(std::memory_order_relaxed) == 0) {
      break;
    }
  }
  return pending_.load(std::memory_order_relaxed);
}

void Patcher::complete_in_grace() {
  for (Slot& slot : std::span(slots_, count())) {
    if (!slot.in_grace || slot.state.load(std::memory_order_relaxed) != PatchState::pending) {
      continue;
    }
    const bool done = complete(slot.plan.at, slot.plan.patched) == Refusal::none;
    set_state(slot, done ? PatchState::jump : PatchState::trap);
  }
}

void Patcher::after_fork_in_child() {
  lock_.store(0, std::memory_order_relaxed);
  unloading_.store(false, std::memory_order_relaxed);
  grace_.abandon();
  for (Slot& slot : std::span(slots_, count())) {
    slot.in_grace = false;
  }
  upgrade_pending();
}

}  // namespace selfheal::patch
