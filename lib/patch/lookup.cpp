// The patcher's lock-free lookups, callable where the engine's are: in a signal handler, and while
// somebody else's vector registers are live (built with -mgeneral-regs-only, no calls into libc).
//
// A slot's fields are written before its state is released and stay until the slot is taken again,
// which happens only to one whose module is gone.
#include "lib/patch/patcher.h"

namespace selfheal::patch {
namespace {

constexpr u8 int3 = 0xcc;

bool is_live(PatchState state) {
  return state >= PatchState::pending;
}

void copy(u8* to, u64 from, u64 size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

}  // namespace

PatchState Patcher::state(u32 index) const {
  return index < max_regions ? slots_[index].state.load(std::memory_order_acquire)
                             : PatchState::free;
}

bool Patcher::enabled(u32 index) const {
  return is_live(state(index));
}

bool Patcher::diverted(u32 index) const {
  return slots_[index].replacement != 0;
}

u64 Patcher::entry(u32 index) const {
  return slots_[index].entry;
}

u64 Patcher::native_path(u32 index) const {
  return selfheal_native_paths[index];
}

i32 Patcher::find(u64 address) const {
  const u32 used = count();
  for (u32 i = 0; i < used; ++i) {
    if (enabled(i) && (slots_[i].entry == address || slots_[i].plan.at == address)) {
      return static_cast<i32>(i);
    }
  }
  return -1;
}

void Patcher::original_bytes(u64 address, u8* buffer, u64 size) const {
  copy(buffer, address, size);
  restore_originals(address, buffer, size);
}

void Patcher::restore_originals(u64 address, u8* buffer, u64 size) const {
  const u32 used = count();
  for (u32 i = 0; i < used; ++i) {
    const Plan& made = slots_[i].plan;
    if (!enabled(i) || made.at + jump_size <= address || made.at >= address + size) {
      continue;
    }
    for (unsigned n = 0; n < made.reach(); ++n) {
      if (made.at + n - address < size) {
        buffer[made.at + n - address] = made.original[n];
      }
    }
  }
}

u64 Patcher::trap_target(u64 rip) const {
  const u64 at = rip - 1;
  const u32 used = count();
  for (u32 i = 0; i < used; ++i) {
    if (slots_[i].plan.at != at) {
      continue;
    }
    const PatchState now = state(i);
    if (is_live(now)) {
      return slots_[i].cell;
    }
    // Taken away between the trap and this question: the original is back, run it.
    if (now == PatchState::removed && *pointer_to<const volatile u8>(at) != int3) {
      return at;
    }
  }
  return 0;
}

u64 Patcher::original_address(u64 address) const {
  if (!stubs_.contains(address)) {
    return address;
  }
  const u32 used = count();
  for (u32 i = 0; i < used; ++i) {
    const Slot& slot = slots_[i];
    if (slot.cell == 0 || address - slot.cell >= cell_size) {
      continue;
    }
    u64 original = slot.plan.at;
    for (u8 n = 0; address - slot.cell < refuse_offset && n < slot.plan.move_count; ++n) {
      const Move& move = slot.plan.moves[n];
      if (address - slot.cell >= native_offset + move.native_offset) {
        original = slot.entry + move.original_offset;
      }
    }
    return original;
  }
  return address;
}

Patcher::Entering Patcher::entering(u64 address) const {
  constexpr u64 after_push = 5;  // stubs.h
  constexpr u64 after_compare = 9;
  constexpr u64 after_branch = 11;
  const u32 used = stubs_.contains(address) ? count() : 0;
  for (u32 i = 0; i < used; ++i) {
    const Slot& slot = slots_[i];
    if (slot.replacement != 0) {
      continue;  // on its way to another function, not to the engine
    }
    if (slot.cell == address) {
      return {slot.plan.at, 0};
    }
    if (slot.cell == 0 || address - slot.cell >= cell_size) {
      continue;
    }
    const u64 at = address - slot.cell;
    const bool checks = slot.stack_limit_offset != 0;
    if (checks && (at == after_compare || at == after_branch || at == refuse_offset)) {
      return {slot.plan.at, 0};
    }
    if (at == (checks ? refuse_offset : 0) + after_push) {
      return {slot.plan.at, sizeof(u64)};
    }
  }
  return {0, 0};
}

u64 Patcher::native_address(u64 address) const {
  const u32 used = count();
  for (u32 i = 0; i < used; ++i) {
    const Slot& slot = slots_[i];
    if (!enabled(i) || address < slot.entry || address >= slot.plan.at + slot.plan.size) {
      continue;
    }
    const bool every_call = slot.replacement != 0 || slot.stack_limit_offset != 0;
    if (every_call && address <= slot.plan.at) {
      return address;  // is meant to be diverted, or checked: the engine runs none
    }
    const u64 native = slot.cell + native_offset;
    for (u8 n = 0; n < slot.plan.move_count; ++n) {
      const Move& move = slot.plan.moves[n];
      if (slot.entry + move.original_offset == address) {
        return native + move.native_offset;
      }
    }
    return address <= slot.plan.at ? native : address;  // an endbr64 in front needs no copy
  }
  return address;
}

}  // namespace selfheal::patch
