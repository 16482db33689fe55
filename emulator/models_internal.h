// What the models share.
#pragma once

#include "emulator/actions.h"
#include "emulator/guard.h"
#include "emulator/models.h"

namespace selfheal::emulator {

// Declares every model that the table names.
#define SELFHEAL_MODEL(name, model) EffectResult model(Thread& thread);
#include "emulator/models.inc"
#undef SELFHEAL_MODEL

// The guest's argument registers, in the order of the C ABI (System V AMD64 psABI, 3.2.3).
inline u64 argument(const Thread& thread, unsigned index) {
  constexpr u8 order[] = {rdi, rsi, rdx, rcx, r8, r9};
  return thread.guest.gpr[order[index]];
}

inline EffectResult returns(Thread& thread, u64 value) {
  thread.guest.gpr[rax] = value;
  return EffectResult::done;
}

// Libc says int in eax.
inline EffectResult returns_int(Thread& thread, u64 value) {
  return returns(thread, static_cast<u32>(value));
}

// The function the guest is about to enter, with its own first four arguments.
inline u64 call_native(Thread& thread) {
  return call_at(thread.guest.rip, argument(thread, 0), argument(thread, 1), argument(thread, 2),
                 argument(thread, 3));
}

// The same on the guest's own stack, for what may need much of it, be cancelled, or call back into
// the program; with the first six arguments.
inline u64 call_native_on_guest_stack(Thread& thread) {
  return call_on_guest_stack(thread, thread.guest.rip, argument(thread, 0), argument(thread, 1),
                             argument(thread, 2), argument(thread, 3), argument(thread, 4),
                             argument(thread, 5));
}

// Room for what a model logs after its native call, and errno as it was. False: the log is full.
bool prepare(Thread& thread);

// Can the guest's object be read and written? A bad pointer must fault in guest code, not in ours.
bool accessible(Thread& thread, u64 address, u64 size);

// Keeps the old bytes of a result the native function will store. False: bad pointer, or full log.
bool keep_result(Thread& thread, u64 address, u64 size);

// What is about to happen at `site` would end the process by SIGABRT.
EffectResult foresee(Thread& thread, FaultKind kind, u64 site);

// How large memory held back for commit may grow before the region gives up its protection.
inline constexpr u64 max_held_bytes = u64{256} << 20;

// Does the heap belong to glibc, whose free() aborts on pointers that are not multiples of 16?
extern constinit u64 heap_alignment;

}  // namespace selfheal::emulator
