// What the engine is told of the code it is about to decode: whose it is, and whether it may
// change.
//
//   text of a loaded module, not        stable, until somebody makes it writable (hot patching) or
//   writable; the vdso                  not executable: from then on as all other memory
//   other memory                        by /proc/self/maps: may change if it is executable
//
// A thread's question costs no system call where the answer is known: module text, and ranges that
// were found executable since the last change of a protection.
#pragma once

#include "emulator/engine.h"

namespace selfheal::runtime {

// For emulator::Config: one thread at a time asks.
emulator::CodeKind code_kind(u64 address);

// Is it mapped, and not executable? False also where that cannot be known.
bool is_data(u64 address);

// Text of a module that nobody can write to without changing its protection first. Any thread.
bool is_fixed_text(u64 address);

// The protection of [begin, end) was changed, or it was unmapped, by whomever. Any thread, any
// context.
void protection_changed(u64 begin, u64 end);

}  // namespace selfheal::runtime
