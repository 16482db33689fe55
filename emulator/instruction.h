// A decoded instruction as Zydis describes it, and questions about it.
#pragma once

#include <Zydis/Zydis.h>

#include "emulator/handlers.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {

struct Instruction {
  u64 rip;
  const u8* bytes;
  ZydisDecodedInstruction info;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  u64 next_rip() const { return rip + info.length; }
  bool has(u64 attribute) const { return (info.attributes & attribute) != 0; }
  // REX.W overrules the operand-size prefix (SDM vol. 2, 2.2.1.2).
  bool has_16_bit_operand() const {
    return has(ZYDIS_ATTRIB_HAS_OPERANDSIZE) && info.raw.rex.W == 0;
  }
  bool has_prefix(u8 prefix) const {
    for (unsigned i = 0; i < info.raw.prefix_count; ++i) {
      if (info.raw.prefixes[i].value == prefix) {
        return true;
      }
    }
    return false;
  }
  bool is_register(unsigned i) const {
    return i < info.operand_count_visible && operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER;
  }
  bool is_memory(unsigned i) const {
    return i < info.operand_count_visible && operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY;
  }
  bool is_immediate(unsigned i) const {
    return i < info.operand_count_visible && operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  }
  bool is_gpr(unsigned i) const;
  unsigned bytes_of(unsigned i) const { return operands[i].size / 8; }
  u64 immediate(unsigned i) const { return operands[i].imm.value.u; }
  u64 branch_target() const { return next_rip() + static_cast<u64>(operands[0].imm.value.s); }
  // The memory operand that is written in the source text; nullptr: none.
  const ZydisDecodedOperand* memory() const;
};

// Number of the general-purpose register that `r` is (a part of); no_register for others.
u8 gpr_number(ZydisRegister r);
// Its place in the register file, in bytes: AH is 1.
u8 gpr_offset(ZydisRegister r);

// Fills the op's address from its memory operand.
void set_address(Op& op, const Instruction& in);

// What became of an instruction: a handler is in `op`, and what else the block needs.
struct Translated {
  bool ends_block = false;   // nothing can follow
  bool conditional = false;  // ends the block, but falls through as well
  Handler after = nullptr;   // a pseudo-operation to put behind it
};

Handler pick_branch(Op& op, const Instruction& in, Translated& result);
// A pseudo-operation for behind an instruction that writes rsp; nullptr: none is needed.
Handler after_stack_write(const Instruction& in);

// Picks a C++ handler. False: there is none.
bool translate(Op& op, const Instruction& in, Translated& result);

// Makes a thunk. Leaves do_unsupported in the op where it cannot be; false when memory is full.
bool translate_thunk(Op& op, const Instruction& in);

// Why the processor must not execute it for us; nullptr: it may.
const char* refusal(const Instruction& in);

// Notes what it stores. False: there is a store that is not known here.
bool find_store(ThunkOp& thunk, const Instruction& in);

void make_unsupported(Op& op, const char* reason);

}  // namespace selfheal::emulator
