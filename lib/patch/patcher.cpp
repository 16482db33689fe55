#include "lib/patch/patcher.h"

#include "lib/patch/live_patch.h"
#include "lib/patch/text_writer.h"

namespace selfheal::patch {
namespace {

bool is_live(PatchState state) {
  return state >= PatchState::pending;
}

}  // namespace

void Patcher::start(i32 enter_target_offset, i32 refuse_target_offset) {
  stubs_.start(enter_target_offset, refuse_target_offset);
  ready_barrier();
}

bool Patcher::try_lock() {
  u32 expected = 0;
  return lock_.compare_exchange_strong(expected, 1, std::memory_order_acquire);
}

void Patcher::unlock() {
  lock_.store(0, std::memory_order_release);
  if (stale_.load(std::memory_order_acquire) && try_lock()) {
    stale_.store(false, std::memory_order_relaxed);
    drop_vanished();
    lock_.store(0, std::memory_order_release);
  }
}

void Patcher::set_state(Slot& slot, PatchState state) {
  const PatchState before = slot.state.load(std::memory_order_relaxed);
  slot.in_grace = false;
  slot.state.store(state, std::memory_order_release);
  if ((before == PatchState::pending) != (state == PatchState::pending)) {
    pending_.fetch_add(state == PatchState::pending ? 1 : ~u32{0}, std::memory_order_relaxed);
  }
}

// The slot an entry had, else one never used, else one of a module that is gone; -1: none.
i32 Patcher::slot_for(u64 entry) const {
  const u32 used = count();
  i32 vanished = -1;
  for (u32 i = 0; i < used; ++i) {
    const PatchState state = slots_[i].state.load(std::memory_order_relaxed);
    if (state == PatchState::vanished) {
      vanished = static_cast<i32>(i);
    } else if (slots_[i].entry == entry) {
      return static_cast<i32>(i);
    }
  }
  return used < max_regions ? static_cast<i32>(used) : vanished;
}

Installed Patcher::install(const RegionSpec& spec, Threads threads) {
  if (!try_lock()) {
    return {-1, Refusal::busy, How::none};
  }
  const i32 index = slot_for(spec.function.code.address);
  Refusal refusal = Refusal::table_full;
  How how = How::none;
  if (index >= 0) {
    Slot& slot = slots_[index];
    refusal = Refusal::none;
    if (is_live(slot.state.load(std::memory_order_relaxed)) &&
        slot.stack_limit_offset != spec.stack_limit_offset) {
      refusal = take_back(slot, threads);
    }
    if (refusal == Refusal::none && !is_live(slot.state.load(std::memory_order_relaxed))) {
      refusal = prepare(static_cast<u32>(index), spec);
      if (refusal == Refusal::none) {
        refusal = put(slot, threads);
      }
    }
    if (refusal == Refusal::none) {
      how = slot.plan.how;
      refusal = slot.plan.refusal;
    }
  }
  unlock();
  return {how == How::none ? -1 : index, refusal, how};
}

// Whether something other than the function itself branches to [first, last].
bool Patcher::entered_from_outside(const RegionSpec& spec, u64 first, u64 last) const {
  if (spec.text_high > spec.text_low &&
      rel32_into(
          {spec.text_low, pointer_to<const u8>(spec.text_low), spec.text_high - spec.text_low},
          first, last)) {
    return true;
  }
  if (spec.code_at == nullptr) {
    return false;
  }
  std::array<Code, 16> found;
  const unsigned count = neighbours(spec.function.code, spec.code_at, spec.context, found);
  static constinit u8 original[64 * 1024];  // under the lock; only what is needed is touched
  for (Code& code : std::span(found.data(), count)) {
    if (find(code.address) >= 0 && code.size <= sizeof original) {
      original_bytes(code.address, original, code.size);  // decoded whole, so without our jump
      code.bytes = original;
    }
    if (names(code, first, last)) {
      return true;
    }
  }
  return false;
}

// Makes the slot's plan and cell. A removed slot keeps both: somebody may still be in its cell.
// One for another kind of entry is given up, with what it holds, for as long as the process lives.
Refusal Patcher::prepare(u32 index, const RegionSpec& spec) {
  Slot& slot = slots_[index];
  const Code& code = spec.function.code;
  if (slot.state.load(std::memory_order_relaxed) == PatchState::removed &&
      slot.stack_limit_offset == spec.stack_limit_offset) {
    if (spec.function.recorded_hash != spec.function.present_hash) {
      return Refusal::hash_mismatch;
    }
    return text_is(slot.plan.at, slot.plan.original, slot.plan.reach()) ? Refusal::none
                                                                        : Refusal::foreign_patch;
  }
  const bool knows_text = spec.text_high > spec.text_low;
  const u64 cell = stubs_.allocate(knows_text ? spec.text_low : code.address,
                                   knows_text ? spec.text_high : code.address + code.size);
  if (cell == 0) {
    return Refusal::no_code_memory;
  }
  const u64 native = cell + native_offset;
  Plan made = patch::plan(spec.function, cell, native);
  if (made.how == How::jump && entered_from_outside(spec, made.at + 1, made.at + jump_size - 1)) {
    made = plan_trap(spec.function, cell, native);
    made.refusal = Refusal::branch_into_entry;
  }
  Refusal refusal = Refusal::none;
  if (made.how == How::none || (made.how == How::trap && !spec.allow_trap)) {
    refusal = made.refusal;
  } else if (!text_is(made.at, made.original, made.reach())) {
    refusal = Refusal::foreign_patch;
  }
  if (refusal != Refusal::none) {
    stubs_.give_back(cell);
    return refusal;
  }
  if (spec.replacement != 0) {
    stubs_.write_diversion(cell, spec.replacement, made.native, made.native_size);
  } else {
    stubs_.write(cell, index, made.native, made.native_size, spec.stack_limit_offset);
  }
  if (spec.native_path != nullptr) {
    __atomic_store_n(spec.native_path, native, __ATOMIC_RELEASE);
  }
  slot.replacement = spec.replacement;
  selfheal_native_paths[index] = native;
  slot.entry = code.address;
  slot.cell = cell;
  slot.stack_limit_offset = spec.stack_limit_offset;
  slot.plan = made;
  return Refusal::none;
}

// Writes the patch. The slot is published first: the int3 may be hit as soon as it is there.
Refusal Patcher::put(Slot& slot, Threads threads) {
  const Plan& made = slot.plan;
  const u32 next = static_cast<u32>(&slot - slots_) + 1;
  if (next > count()) {
    count_.store(next, std::memory_order_release);
  }
  if (threads == Threads::one) {
    set_state(slot, made.how == How::jump ? PatchState::jump : PatchState::trap);
    if (write_text(made.at, made.patched, made.size) == Writer::none) {
      set_state(slot, PatchState::removed);
      return Refusal::write_failed;
    }
    ready_barrier();
    return Refusal::none;
  }
  if (const Refusal refusal = threads_can_trap(); refusal != Refusal::none) {
    set_state(slot, PatchState::removed);
    return refusal;
  }
  set_state(slot, made.how == How::jump ? PatchState::pending : PatchState::trap);
  if (const Refusal refusal = place_trap(made.at); refusal != Refusal::none) {
    set_state(slot, PatchState::removed);
    return refusal;
  }
  if (made.how == How::jump) {
    if (made.single && complete(made.at, made.patched) == Refusal::none) {
      set_state(slot, PatchState::jump);
    } else {
      advance();
    }
  }
  return Refusal::none;
}

bool Patcher::uninstall(u32 index, Threads threads) {
  if (index >= count()) {
    return true;
  }
  if (!try_lock()) {
    return false;
  }
  Slot& slot = slots_[index];
  const bool done = !is_live(slot.state.load(std::memory_order_relaxed)) ||
                    take_back(slot, threads) == Refusal::none;
  unlock();
  return done;
}

Refusal Patcher::take_back(Slot& slot, Threads threads) {
  const Plan& made = slot.plan;
  const unsigned size = made.reach();
  Refusal refusal = Refusal::none;
  if (threads == Threads::one) {
    if (write_text(made.at, made.original, size) == Writer::none) {
      refusal = Refusal::write_failed;
    }
    ready_barrier();
  } else if (text_is(made.at + 1, made.original + 1, size - 1)) {
    refusal = replace_trap(made.at, made.original[0]);  // only the int3 is there
  } else {
    refusal = threads_can_trap();
    if (refusal == Refusal::none) {
      refusal = place_trap(made.at);
    }
    if (refusal == Refusal::none) {
      refusal = complete(made.at, made.original);
    }
  }
  if (refusal == Refusal::none) {
    set_state(slot, PatchState::removed);
  }
  return refusal;
}

}  // namespace selfheal::patch
