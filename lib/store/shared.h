// What both sides of the journal need: atomics on shared bytes, and the word that says whose a slot
// is. Builtins and inline assembly, because the recording side may not touch vector registers or
// call libc (and clang cannot compile <atomic> under -mgeneral-regs-only).
#pragma once

#include "lib/base/types.h"
#include "lib/store/format.h"

namespace selfheal::store {

inline u64 load(const u64& word) {
  return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

inline void add(u64& word, u64 value) {
  __atomic_fetch_add(&word, value, __ATOMIC_RELAXED);
}

inline bool swap_if(u64& word, u64 expected, u64 desired) {
  return __atomic_compare_exchange_n(&word, &expected, desired, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED);
}

// Copies `size` bytes, a multiple of 8. Neither memcpy (libc's uses vector registers and may be
// interposed) nor a loop (the compiler would make a memcpy of it).
inline void copy_words(void* to, const void* from, u64 size) {
  u64 count = size / 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

// A slot's state word:  second of reservation : 32 | pid : 24 | zero : 6 | state : 2
// One word, so that a slot can never be reserved without saying by whom.
inline u64 slot_word(SlotState state, u32 pid, u64 time_ns) {
  return (time_ns / 1'000'000'000 << 32) | (u64{pid & 0xff'ffff} << 8) | static_cast<u64>(state);
}
inline bool is_state(u64 word, SlotState state) {
  return (word & 0xff) == static_cast<u64>(state);
}
inline u64 with_state(u64 word, SlotState state) {
  return (word & ~u64{0xff}) | static_cast<u64>(state);
}
inline u32 pid_of(u64 word) {
  return static_cast<u32>(word >> 8) & 0xff'ffff;
}
inline u32 second_of(u64 word) {
  return static_cast<u32>(word >> 32);
}

// Covers kind, size, number and payload: all of the slot that is in use, but the checksum itself.
inline constexpr u64 checked_offset = offsetof(Slot, kind);
inline u64 checked_size(u32 payload_size) {
  return offsetof(Slot, fault) - checked_offset + payload_size;
}

}  // namespace selfheal::store
