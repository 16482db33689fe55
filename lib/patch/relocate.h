// Moves one instruction to another address so that it does there what it did here.
//
//   relative to rip      same instruction, new displacement (lea, loads, stores, jmp *x(%rip))
//   jmp, jcc             rel8 and rel32 become rel32, or a jump through a pointer when too far
//   loop, jrcxz          stay short, around a long jump
//   call                 pushes the ORIGINAL return address and jumps: the callee, and everyone who
//                        walks the stack (exceptions, profilers, a fault's backtrace), sees the
//                        caller it knows, and it returns into the function, not into the copy
//   the rest             copied
#pragma once

#include <Zydis/Zydis.h>

#include "lib/patch/emitter.h"
#include "lib/patch/plan.h"

namespace selfheal::patch {

// Decodes one instruction at `bytes`, of which `available` can be read; false when it is none.
bool decode(const u8* bytes, u64 available, ZydisDecodedInstruction& instruction);

// Appends the instruction at `address` (its bytes at `bytes`) to `to`; Refusal::none when it could.
Refusal relocate(const ZydisDecodedInstruction& instruction, const u8* bytes, u64 address,
                 Emitter& to);

// Where a relative branch or a rip-relative operand points; false when the instruction has neither.
bool relative_target(const ZydisDecodedInstruction& instruction, u64 address, u64& target);

// Execution never goes on behind it: jmp, ret, ud2, hlt.
bool ends_flow(const ZydisDecodedInstruction& instruction);

// nop of any length or int3: what compilers and linkers fill gaps with.
bool is_padding(const ZydisDecodedInstruction& instruction);

}  // namespace selfheal::patch
