// Questions about one decoded instruction, for the generator.
#pragma once

#include <Zydis/Zydis.h>
#include <span>

#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

struct Decoded {
  ZydisDecodedInstruction in;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  const ZydisDecodedOperand* memory() const;
  bool writes_register(ZydisRegister whole) const;
};

bool decode(std::span<const u8> code, Decoded& d);

// Number of the general-purpose register that `r` is a part of; -1 for others.
int gpr_of(ZydisRegister r);

// Must the processor not execute it in a test process? It would leave the process (system calls),
// or take away what the harness stands on (the FS base, protection keys).
bool is_dangerous(const Decoded& d);

// May nothing go on with its result? Because it is another one each time: then what to leave out of
// the comparison.
bool stands_alone(const Decoded& d, Volatile& ignored);

bool uses_stack(const Decoded& d);

// Does it change rsp other than by pushing and popping?
bool moves_stack(const Decoded& d);

}  // namespace selfheal::differential
