#include "emulator/instruction.h"

namespace selfheal::emulator {

u8 gpr_number(ZydisRegister r) {
  if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL) {
    return static_cast<u8>(r - ZYDIS_REGISTER_AL);
  }
  if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH) {
    return static_cast<u8>(r - ZYDIS_REGISTER_AH);
  }
  if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B) {
    return static_cast<u8>(r - ZYDIS_REGISTER_SPL + 4);
  }
  if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W) {
    return static_cast<u8>(r - ZYDIS_REGISTER_AX);
  }
  if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D) {
    return static_cast<u8>(r - ZYDIS_REGISTER_EAX);
  }
  if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15) {
    return static_cast<u8>(r - ZYDIS_REGISTER_RAX);
  }
  return no_register;
}

u8 gpr_offset(ZydisRegister r) {
  const u8 high = r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH ? 1 : 0;
  return static_cast<u8>(gpr_number(r) * 8 + high);
}

bool Instruction::is_gpr(unsigned i) const {
  return is_register(i) && gpr_number(operands[i].reg.value) != no_register;
}

const ZydisDecodedOperand* Instruction::memory() const {
  for (unsigned i = 0; i < info.operand_count_visible; ++i) {
    if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
      return &operands[i];
    }
  }
  return nullptr;
}

// Of several, the last one counts; those of segments without a base do not.
static Segment segment_prefix(const Instruction& in) {
  Segment segment = Segment::none;
  for (unsigned i = 0; i < in.info.raw.prefix_count; ++i) {
    const u8 prefix = in.info.raw.prefixes[i].value;
    segment = prefix == 0x64 ? Segment::fs : prefix == 0x65 ? Segment::gs : segment;
  }
  return segment;
}

void set_address(Op& op, const Instruction& in) {
  op.base = no_register;
  op.index = no_register;
  op.address32 = in.info.address_width == 32;
  if (in.has(ZYDIS_ATTRIB_HAS_SEGMENT_FS)) {
    op.segment = Segment::fs;
  } else if (in.has(ZYDIS_ATTRIB_HAS_SEGMENT_GS)) {
    op.segment = Segment::gs;
  }
  if (in.info.mnemonic == ZYDIS_MNEMONIC_CLZERO) {
    op.segment = segment_prefix(in);  // Zydis knows no memory operand of it, and so no segment
  }
  for (unsigned i = in.info.operand_count_visible; i < in.info.operand_count; ++i) {
    op.uses_stack = op.uses_stack || (in.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                      in.operands[i].mem.segment == ZYDIS_REGISTER_SS);
  }
  const ZydisDecodedOperand* m = in.memory();
  if (m == nullptr) {
    return;
  }
  op.stack_segment = m->mem.segment == ZYDIS_REGISTER_SS;
  op.displacement = m->mem.disp.has_displacement ? static_cast<u64>(m->mem.disp.value) : 0;
  if (m->mem.base == ZYDIS_REGISTER_RIP || m->mem.base == ZYDIS_REGISTER_EIP) {
    op.displacement += in.next_rip();
  } else if (gpr_number(m->mem.base) != no_register) {
    op.base = gpr_offset(m->mem.base);
  }
  if (in.info.raw.modrm.mod == 0 && in.has(ZYDIS_ATTRIB_HAS_SIB) &&
      (in.bytes[in.info.raw.sib.offset] & 7) == 5) {
    // No base, a disp32, whatever REX.B says (SDM vol. 2, table 2-5): Zydis 4.0 takes it for r13d
    // with a displacement of zero when addresses are 32 bits wide.
    op.base = no_register;
    op.displacement = static_cast<u64>(in.info.raw.disp.value);
  }
  op.scale = m->mem.scale == 0 ? u8{0} : static_cast<u8>(__builtin_ctz(m->mem.scale));
  if (gpr_number(m->mem.index) != no_register) {
    op.index = gpr_offset(m->mem.index);
  }
}

}  // namespace selfheal::emulator
