// Which C++ handler runs an instruction. Shapes without a row here are executed by the processor.
#include "emulator/instruction.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

// Operands 0 and 1 as a form; false when they are not general-purpose registers, memory,
// immediates.
bool two_operand_form(Op& op, const Instruction& in, Form& form) {
  const bool r0 = in.is_gpr(0);
  const bool r1 = in.is_gpr(1);
  if (r0) {
    op.a = gpr_offset(in.operands[0].reg.value);
  }
  if (r1) {
    op.b = gpr_offset(in.operands[1].reg.value);
  }
  if (in.is_immediate(1)) {
    op.immediate = in.immediate(1);
    form = r0 ? Form::ri : Form::mi;
    return r0 || in.is_memory(0);
  }
  form = r0 ? (r1 ? Form::rr : Form::rm) : Form::mr;
  return (r0 || in.is_memory(0)) && (r1 || in.is_memory(1));
}

bool one_operand_form(Op& op, const Instruction& in, Form& form) {
  if (in.is_gpr(0)) {
    op.a = gpr_offset(in.operands[0].reg.value);
  }
  form = in.is_gpr(0) ? Form::r : Form::m;
  return in.is_gpr(0) || in.is_memory(0);
}

Handler alu(Op& op, const Instruction& in, Alu operation) {
  Form form;
  const bool binary = operation <= Alu::test;
  if (!(binary ? two_operand_form(op, in, form) : one_operand_form(op, in, form))) {
    return nullptr;
  }
  // `test m, r` reads only: either order will do.
  if (operation == Alu::test && form == Form::rm) {
    op.b = op.a;
    form = Form::mr;
  }
  const unsigned bytes = in.bytes_of(0);
  return in.has(ZYDIS_ATTRIB_HAS_LOCK) ? locked_alu_handler(operation, form, bytes)
                                       : alu_handler(operation, form, bytes);
}

Handler shift(Op& op, const Instruction& in, Shift operation) {
  Form form;
  if (!one_operand_form(op, in, form)) {
    return nullptr;
  }
  const bool in_cl = !in.is_immediate(1);
  if (!in_cl) {
    op.immediate = in.immediate(1);
  }
  return shift_handler(operation, form, in.bytes_of(0), in_cl);
}

Handler move(Op& op, const Instruction& in) {
  Form form;
  if (!two_operand_form(op, in, form)) {
    return nullptr;
  }
  const bool of_thread = op.segment == Segment::fs && op.base == no_register &&
                         op.index == no_register && op.displacement == canary_offset;
  return of_thread && form == Form::rm && in.bytes_of(0) == 8 ? load_canary_handler()
                                                              : mov_handler(form, in.bytes_of(0));
}

Handler extend(Op& op, const Instruction& in, bool sign) {
  Form form;
  return two_operand_form(op, in, form)
             ? extend_handler(sign, form == Form::rm, in.bytes_of(0), in.bytes_of(1))
             : nullptr;
}

Handler multiply(Op& op, const Instruction& in) {
  Form form;
  if (in.info.operand_count_visible == 1) {
    return one_operand_form(op, in, form) ? multiply1_handler(true, form, in.bytes_of(0)) : nullptr;
  }
  if (!two_operand_form(op, in, form)) {
    return nullptr;
  }
  if (in.info.operand_count_visible == 3) {
    op.immediate = in.immediate(2);
    return multiply3_handler(form, in.bytes_of(0));
  }
  return multiply2_handler(form, in.bytes_of(0));
}

Handler exchange(Op& op, const Instruction& in) {
  if (in.is_gpr(0) && in.is_gpr(1)) {
    op.a = gpr_offset(in.operands[0].reg.value);
    op.b = gpr_offset(in.operands[1].reg.value);
    return xchg_registers_handler(in.bytes_of(0));
  }
  op.b = gpr_offset(in.operands[in.is_memory(0) ? 1 : 0].reg.value);
  return exchange_handler(in.bytes_of(0));
}

Handler in_memory(Op& op, const Instruction& in, Handler (*pick)(unsigned)) {
  if (!in.is_memory(0)) {
    return nullptr;
  }
  op.b = in.is_gpr(1) ? gpr_offset(in.operands[1].reg.value) : u8{0};
  return pick(in.bytes_of(0));
}

Handler change_bit(Op& op, const Instruction& in, BitChange change) {
  Form form;
  return in.is_memory(0) && two_operand_form(op, in, form)
             ? locked_bit_handler(change, form, in.bytes_of(0))
             : nullptr;
}

Handler bit_test(Op& op, const Instruction& in) {
  Form form;
  return two_operand_form(op, in, form) ? bit_test_handler(form, in.bytes_of(0)) : nullptr;
}

Handler push_or_pop(Op& op, const Instruction& in, bool is_push) {
  Form form = Form::ri;
  if (in.is_immediate(0)) {
    op.immediate = in.immediate(0);
  } else if (!one_operand_form(op, in, form)) {
    return nullptr;
  }
  const unsigned bytes = in.info.operand_width / 8U;
  return is_push ? push_handler(form, bytes) : pop_handler(form, bytes);
}

Handler flag(Op& op, Handler handler, u64 bits) {
  op.immediate = bits;
  return handler;
}

Handler pick(Op& op, const Instruction& in, Translated& result) {
  if (in.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
      in.info.mnemonic != ZYDIS_MNEMONIC_XBEGIN) {
    return pick_branch(op, in, result);
  }
  const unsigned code = in.info.opcode & 15U;
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
      return alu(op, in, Alu::add);
    case ZYDIS_MNEMONIC_OR:
      return alu(op, in, Alu::or_);
    case ZYDIS_MNEMONIC_ADC:
      return alu(op, in, Alu::adc);
    case ZYDIS_MNEMONIC_SBB:
      return alu(op, in, Alu::sbb);
    case ZYDIS_MNEMONIC_AND:
      return alu(op, in, Alu::and_);
    case ZYDIS_MNEMONIC_SUB:
      return alu(op, in, Alu::sub);
    case ZYDIS_MNEMONIC_XOR:
      return alu(op, in, Alu::xor_);
    case ZYDIS_MNEMONIC_CMP:
      return alu(op, in, Alu::cmp);
    case ZYDIS_MNEMONIC_TEST:
      return alu(op, in, Alu::test);
    case ZYDIS_MNEMONIC_INC:
      return alu(op, in, Alu::inc);
    case ZYDIS_MNEMONIC_DEC:
      return alu(op, in, Alu::dec);
    case ZYDIS_MNEMONIC_NEG:
      return alu(op, in, Alu::neg);
    case ZYDIS_MNEMONIC_NOT:
      return alu(op, in, Alu::not_);
    case ZYDIS_MNEMONIC_ROL:
      return shift(op, in, Shift::rol);
    case ZYDIS_MNEMONIC_ROR:
      return shift(op, in, Shift::ror);
    case ZYDIS_MNEMONIC_SHL:
      return shift(op, in, Shift::shl);
    case ZYDIS_MNEMONIC_SHR:
      return shift(op, in, Shift::shr);
    case ZYDIS_MNEMONIC_SAR:
      return shift(op, in, Shift::sar);
    case ZYDIS_MNEMONIC_MOV:
      return move(op, in);
    case ZYDIS_MNEMONIC_MOVZX:
      return extend(op, in, false);
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      return extend(op, in, true);
    case ZYDIS_MNEMONIC_LEA:
      op.a = gpr_offset(in.operands[0].reg.value);
      return lea_handler(in.bytes_of(0));
    case ZYDIS_MNEMONIC_XCHG:
      return exchange(op, in);
    case ZYDIS_MNEMONIC_XADD:
      return in_memory(op, in, exchange_add_handler);
    case ZYDIS_MNEMONIC_CMPXCHG:
      return in_memory(op, in, compare_exchange_handler);
    case ZYDIS_MNEMONIC_CMPXCHG8B:
      return compare_exchange_pair_handler(4);
    case ZYDIS_MNEMONIC_CMPXCHG16B:
      return compare_exchange_pair_handler(8);
    case ZYDIS_MNEMONIC_BT:
      return bit_test(op, in);
    case ZYDIS_MNEMONIC_BTS:
      return change_bit(op, in, BitChange::set);
    case ZYDIS_MNEMONIC_BTR:
      return change_bit(op, in, BitChange::reset);
    case ZYDIS_MNEMONIC_BTC:
      return change_bit(op, in, BitChange::complement);
    case ZYDIS_MNEMONIC_BSWAP:
      op.a = gpr_offset(in.operands[0].reg.value);
      return bswap_handler(in.bytes_of(0));
    case ZYDIS_MNEMONIC_CBW:
      return convert_handler(2);
    case ZYDIS_MNEMONIC_CWDE:
      return convert_handler(4);
    case ZYDIS_MNEMONIC_CDQE:
      return convert_handler(8);
    case ZYDIS_MNEMONIC_CWD:
      return convert_double_handler(2);
    case ZYDIS_MNEMONIC_CDQ:
      return convert_double_handler(4);
    case ZYDIS_MNEMONIC_CQO:
      return convert_double_handler(8);
    case ZYDIS_MNEMONIC_IMUL:
      return multiply(op, in);
    case ZYDIS_MNEMONIC_MUL: {
      Form form;
      return one_operand_form(op, in, form) ? multiply1_handler(false, form, in.bytes_of(0))
                                            : nullptr;
    }
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV: {
      Form form;
      return one_operand_form(op, in, form)
                 ? divide_handler(in.info.mnemonic == ZYDIS_MNEMONIC_IDIV, form, in.bytes_of(0))
                 : nullptr;
    }
    case ZYDIS_MNEMONIC_PUSH:
      return push_or_pop(op, in, true);
    case ZYDIS_MNEMONIC_POP:
      return push_or_pop(op, in, false);
    case ZYDIS_MNEMONIC_PUSHF:
      return push_flags_handler(2);
    case ZYDIS_MNEMONIC_PUSHFQ:
      return push_flags_handler(8);
    case ZYDIS_MNEMONIC_POPF:
      return pop_flags_handler(2);
    case ZYDIS_MNEMONIC_POPFQ:
      return pop_flags_handler(8);
    case ZYDIS_MNEMONIC_LEAVE:
      return in.has(ZYDIS_ATTRIB_HAS_OPERANDSIZE) ? nullptr : do_leave;
    case ZYDIS_MNEMONIC_NOP:
      // 90 and 0f 1f; of the other hints some processors make #UD.
      return in.info.opcode == 0x90 || in.info.opcode == 0x1f ? do_nop : nullptr;
    case ZYDIS_MNEMONIC_ENDBR64:
      return do_nop;
    case ZYDIS_MNEMONIC_STC:
      return flag(op, do_set_flag, ZYDIS_CPUFLAG_CF);
    case ZYDIS_MNEMONIC_CLC:
      return flag(op, do_clear_flag, ZYDIS_CPUFLAG_CF);
    case ZYDIS_MNEMONIC_STD:
      return flag(op, do_set_flag, ZYDIS_CPUFLAG_DF);
    case ZYDIS_MNEMONIC_CLD:
      return flag(op, do_clear_flag, ZYDIS_CPUFLAG_DF);
    case ZYDIS_MNEMONIC_CMC:
      return do_complement_carry;
    case ZYDIS_MNEMONIC_UD2:
      result.ends_block = true;
      return do_undefined;
    case ZYDIS_MNEMONIC_SYSCALL:
      result.ends_block = true;
      return do_system_call;
    default:
      break;
  }
  if (in.info.meta.category == ZYDIS_CATEGORY_CMOV && in.is_gpr(0)) {
    op.a = gpr_offset(in.operands[0].reg.value);
    op.b = in.is_gpr(1) ? gpr_offset(in.operands[1].reg.value) : u8{0};
    return cmov_handler(code, in.is_memory(1), in.bytes_of(0));
  }
  if (in.info.meta.category == ZYDIS_CATEGORY_SETCC) {
    Form form;
    return one_operand_form(op, in, form) ? set_handler(code, form == Form::m) : nullptr;
  }
  return nullptr;
}

}  // namespace

void make_unsupported(Op& op, const char* reason) {
  op.handler = do_unsupported;
  op.immediate = address_of(reason);
}

bool translate(Op& op, const Instruction& in, Translated& result) {
  result.after = after_stack_write(in);
  op.handler = pick(op, in, result);
  return op.handler != nullptr;
}

}  // namespace selfheal::emulator
