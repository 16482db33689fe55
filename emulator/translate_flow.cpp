// Control flow, and what has to be looked at when an instruction moves the stack pointer.
#include "emulator/instruction.h"

namespace selfheal::emulator {
namespace {

Handler flow(Op& op, const Instruction& in, Handler direct, Handler by_register,
             Handler by_memory) {
  if (in.is_immediate(0)) {
    op.immediate = in.branch_target();
    return direct;
  }
  if (in.is_gpr(0)) {
    op.a = gpr_offset(in.operands[0].reg.value);
    return by_register;
  }
  return by_memory;
}

bool is_loop(const Instruction& in) {
  return in.info.mnemonic == ZYDIS_MNEMONIC_LOOP || in.info.mnemonic == ZYDIS_MNEMONIC_LOOPE ||
         in.info.mnemonic == ZYDIS_MNEMONIC_LOOPNE;
}

}  // namespace

Handler pick_branch(Op& op, const Instruction& in, Translated& result) {
  result.ends_block = true;
  if (in.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
    make_unsupported(op, "a far control transfer");
    return op.handler;
  }
  // REX.W overrules the prefix; compilers write both to pad calls of __tls_get_addr.
  if (in.has_16_bit_operand()) {
    make_unsupported(op, "a branch with an operand-size prefix");  // processors disagree
    return op.handler;
  }
  const u8 counter = in.has(ZYDIS_ATTRIB_HAS_ADDRESSSIZE) ? 4 : 8;
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
      return flow(op, in, do_jump, do_jump_register, do_jump_memory);
    case ZYDIS_MNEMONIC_CALL:
      return flow(op, in, do_call, do_call_register, do_call_memory);
    case ZYDIS_MNEMONIC_RET:
      op.immediate = in.is_immediate(0) ? in.immediate(0) & 0xffff : 0;
      return do_return;
    default:
      break;
  }
  if (!in.is_immediate(0)) {
    return nullptr;
  }
  if (is_loop(in) && (in.has_prefix(0xf2) || in.has_prefix(0xf3))) {
    // Reserved; AMD's take the condition from the prefix.
    make_unsupported(op, "a loop instruction with a repeat prefix");
    return op.handler;
  }
  result.conditional = true;
  op.immediate = in.branch_target();
  op.b = counter;
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_LOOP:
      return do_loop;
    case ZYDIS_MNEMONIC_LOOPE:
      return do_loop_equal;
    case ZYDIS_MNEMONIC_LOOPNE:
      return do_loop_not_equal;
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
      return do_jump_if_zero_count;
    default:
      return in.info.meta.category == ZYDIS_CATEGORY_COND_BR &&
                     in.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY
                 ? jump_if_handler(in.info.opcode & 15U)
                 : nullptr;
  }
}

// Moves of rsp that stay on the same stack, by their look; all others are checked for where they
// lead. Pushes, pops, calls and returns need neither.
Handler after_stack_write(const Instruction& in) {
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_LEAVE:
      return do_stack_changed;
    case ZYDIS_MNEMONIC_ENTER:
      return do_stack_grown;
    default:
      break;
  }
  for (unsigned i = 0; i < in.info.operand_count_visible; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type != ZYDIS_OPERAND_TYPE_REGISTER ||
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0 || gpr_number(o.reg.value) != rsp) {
      continue;
    }
    switch (in.info.mnemonic) {
      case ZYDIS_MNEMONIC_SUB:
      case ZYDIS_MNEMONIC_ADD:
      case ZYDIS_MNEMONIC_AND:
        return do_stack_grown;
      case ZYDIS_MNEMONIC_LEA:
        return in.operands[1].mem.base == ZYDIS_REGISTER_RSP ? do_stack_grown : do_stack_changed;
      default:
        return do_stack_changed;
    }
  }
  return nullptr;
}

}  // namespace selfheal::emulator
