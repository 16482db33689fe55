// What the two users of Zydis here share. Internal to lib/report.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/base/types.h"

namespace selfheal::report {

// About 1 KiB: mind the alternate stack.
struct Decoded {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

bool decode(const u8* bytes, u64 size, Decoded& out);

// Intel syntax, lower case, no padding.
bool make_formatter(ZydisFormatter& out);

// The part of the register file a general-purpose register names: `ah` is bits 8-15 of rax.
struct Slice {
  u8 gpr;  // index as in Registers
  u8 shift;
  u8 bits;
};

// False for a register that is no general-purpose one.
bool slice_of(ZydisRegister reg, Slice& out);

}  // namespace selfheal::report
