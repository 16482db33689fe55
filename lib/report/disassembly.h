// Instructions as text (Intel syntax, Zydis's formatter).
// Same rules as report.h: no allocation, no lock, safe in a signal handler.
#pragma once

#include "lib/base/text.h"
#include "lib/base/types.h"

namespace selfheal::report {

// Where an instruction is taken to stand when relative operands shall stay relative:
// `[rip+0x2f12]`, `jz +0x32` (from the start of the instruction).
inline constexpr u64 nowhere = ~u64{0};

// Appends the instruction at the start of `bytes` to `out` and returns its length; 0, with nothing
// appended, when the bytes are none. `address` is where it stands, for relative operands.
u64 disassemble(const u8* bytes, u64 size, u64 address, Text& out);

}  // namespace selfheal::report
