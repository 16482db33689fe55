// The process's generated code: the ways in and out of the engine, small probes of vector state,
// and the thunks.
#pragma once

#include "emulator/emitter.h"
#include "emulator/thread.h"
#include "lib/base/code_memory.h"

namespace selfheal::emulator {

// Distance from the thread pointer of a member of this_thread.
inline i32 in_thread(u64 offset_in_thread) {
  return thread_offset() + static_cast<i32>(offset_in_thread);
}
inline i32 guest_word(unsigned gpr) {
  return in_thread(offsetof(Thread, guest) + gpr * sizeof(u64));
}
inline i32 guest_flags() {
  return in_thread(offsetof(Thread, guest) + offsetof(Registers, rflags));
}

inline i32 thread_state() {
  return in_thread(offsetof(Thread, state));
}

// Maps the memory and emits all but the thunks. `native_entry`: see Config.
bool start_generated_code(u64 size, u64 native_entry);
bool detach_generated_code();
bool in_generated_code(u64 address);

// Copies code in; 0 when there is no room. Callers hold the block lock.
u64 place_code(const u8* bytes, unsigned size);

// The ways in and out; addresses. From `leave` to `leave_end` a signal that comes now is too late
// to be seen.
struct Trampolines {
  u64 enter;
  u64 leave;
  u64 leave_end;
  u64 resume;
  u64 suspended;
};
const Trampolines& trampolines();

// The guest's live vector state, read without the compiler's knowing.
bool has_mask_registers();  // and vector registers from 16 on
u64 read_mask_register(unsigned k);
// Stores vector register `v` (all the processor has of it, at most 64 bytes) at `to`.
void read_vector_register(unsigned v, void* to);
void read_mmx_register(unsigned m, void* to);

}  // namespace selfheal::emulator
