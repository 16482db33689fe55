// What happens to patches when their module goes.
#include <dlfcn.h>

#include "lib/base/raw_syscall.h"
#include "lib/patch/patcher.h"
#include "lib/patch/text_writer.h"

namespace selfheal::patch {
namespace {

bool in_a_module(u64 address) {
  dl_find_object object;
  return _dl_find_object(pointer_to<void>(address), &object) == 0;
}

}  // namespace

void Patcher::modules_unloading() {
  constexpr unsigned tries = 1000;  // a holder needs some milliseconds at most
  for (unsigned i = 0; i < tries; ++i) {
    if (try_lock()) {
      unloading_.store(true, std::memory_order_relaxed);
      return;
    }
    const i64 millisecond[2] = {0, 1000000};
    raw_syscall(SYS_nanosleep, address_of(millisecond));
  }
}

void Patcher::modules_changed() {
  if (unloading_.exchange(false, std::memory_order_relaxed) || try_lock()) {
    drop_vanished();
    unlock();
  } else {
    stale_.store(true, std::memory_order_release);
  }
}

// Text may be gone, or be another module's by now: then our jump is not there.
void Patcher::drop_vanished() {
  for (Slot& slot : std::span(slots_, count())) {
    const PatchState state = slot.state.load(std::memory_order_relaxed);
    if (state == PatchState::free || state == PatchState::vanished) {
      continue;
    }
    const Plan& made = slot.plan;
    const u8* expected = state == PatchState::removed ? made.original : made.patched;
    const bool trapped = state == PatchState::pending || state == PatchState::trap;
    if (!in_a_module(made.at) || (!trapped && !text_is(made.at, expected, made.reach()))) {
      set_state(slot, PatchState::vanished);
    }
  }
}

}  // namespace selfheal::patch
