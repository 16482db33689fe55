#include "lib/patch/relocate.h"

namespace selfheal::patch {
namespace {

// Intel SDM vol. 2, 2.1: ModRM of opcode group 5 (ff /2 call, ff /4 jmp).
constexpr u8 group5_call = 2;
constexpr u8 group5_jump = 4;

bool has_relative_branch(const ZydisDecodedInstruction& i) {
  return i.raw.imm[0].is_relative;
}

bool has_relative_memory(const ZydisDecodedInstruction& i) {
  return !has_relative_branch(i) && (i.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0 &&
         i.raw.disp.size == 32;
}

// Copies the instruction with the displacement that names the same address from its new place.
Refusal copy_relative_memory(const ZydisDecodedInstruction& i, const u8* bytes, u64 target,
                             Emitter& to) {
  const i64 displacement = static_cast<i64>(target - (to.here() + i.length));
  if (i.address_width != 64) {
    return Refusal::immovable;  // relative to eip: wraps at 4 GiB
  }
  if (displacement != static_cast<i32>(displacement)) {
    return Refusal::out_of_reach;
  }
  to.bytes(bytes, i.raw.disp.offset);
  to.number(static_cast<u64>(displacement), 4);
  to.bytes(bytes + i.raw.disp.offset + 4, i.length - i.raw.disp.offset - 4u);
  return Refusal::none;
}

Refusal move_branch(const ZydisDecodedInstruction& i, const u8* bytes, u64 next, u64 target,
                    Emitter& to) {
  if (i.operand_width == 16) {
    return Refusal::immovable;  // 66-prefixed: Intel and AMD disagree about what it does
  }
  switch (i.meta.category) {
    case ZYDIS_CATEGORY_CALL:
      to.push(next);
      to.jump(target);
      return Refusal::none;
    case ZYDIS_CATEGORY_UNCOND_BR:
      to.jump(target);  // jmp: nothing else there is relative
      return Refusal::none;
    case ZYDIS_CATEGORY_COND_BR:
      break;
    default:
      return Refusal::immovable;
  }
  const bool is_jcc = i.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
                      ((i.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (i.opcode & 0xf0) == 0x70) ||
                       (i.opcode_map == ZYDIS_OPCODE_MAP_0F && (i.opcode & 0xf0) == 0x80));
  const bool counts = i.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && i.opcode >= 0xe0 &&
                      i.opcode <= 0xe3;  // loopne, loope, loop, jrcxz
  if (!is_jcc && !counts) {
    return Refusal::immovable;  // xbegin
  }
  if (counts) {
    to.bytes(bytes, i.length - 1u);  // 67 counts in ecx
    to.byte(2);                      // taken: over the short jump, to the long one
    to.byte(0xeb);
    const unsigned skip = to.size();
    to.byte(0);
    to.jump(target);
    if (!to.overflow()) {
      to.code()[skip] = static_cast<u8>(to.size() - skip - 1);
    }
    return Refusal::none;
  }
  to.jump_if(i.opcode & 0x0f, target);  // 70+cc and 0f 80+cc
  return Refusal::none;
}

// call through a register or memory: push the return address, then jump through the same operand.
Refusal move_indirect_call(const ZydisDecodedInstruction& i, const u8* bytes, u64 next,
                           Emitter& to) {
  const bool is_register = i.raw.modrm.mod == 3;
  const bool uses_rsp = is_register
                            ? i.raw.modrm.rm == 4 && i.raw.rex.B == 0
                            : i.raw.modrm.rm == 4 && i.raw.sib.base == 4 && i.raw.rex.B == 0;
  if (i.raw.modrm.reg != group5_call || i.operand_width != 64 || uses_rsp) {
    return Refusal::immovable;  // far, or the push would change its operand
  }
  u8 copy[ZYDIS_MAX_INSTRUCTION_LENGTH];
  for (u8 n = 0; n < i.length; ++n) {
    copy[n] = bytes[n];
  }
  u8& modrm = copy[i.raw.modrm.offset];
  modrm = static_cast<u8>((modrm & ~0x38) | group5_jump << 3);
  to.push(next);
  u64 target;
  if (relative_target(i, next - i.length, target)) {
    return copy_relative_memory(i, copy, target, to);
  }
  to.bytes(copy, i.length);
  return Refusal::none;
}

}  // namespace

bool decode(const u8* bytes, u64 available, ZydisDecodedInstruction& instruction) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  return ZYAN_SUCCESS(
      ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes, available, &instruction));
}

bool relative_target(const ZydisDecodedInstruction& i, u64 address, u64& target) {
  if (has_relative_branch(i)) {
    target = address + i.length + static_cast<u64>(i.raw.imm[0].value.s);
    return true;
  }
  if (has_relative_memory(i)) {
    target = address + i.length + static_cast<u64>(i.raw.disp.value);
    return true;
  }
  return false;
}

bool ends_flow(const ZydisDecodedInstruction& i) {
  // By name: Zydis counts xabort, which does nothing outside a transaction, as unconditional.
  return i.mnemonic == ZYDIS_MNEMONIC_JMP || i.meta.category == ZYDIS_CATEGORY_RET ||
         i.mnemonic == ZYDIS_MNEMONIC_UD0 || i.mnemonic == ZYDIS_MNEMONIC_UD1 ||
         i.mnemonic == ZYDIS_MNEMONIC_UD2 || i.mnemonic == ZYDIS_MNEMONIC_HLT;
}

bool is_padding(const ZydisDecodedInstruction& i) {
  return i.mnemonic == ZYDIS_MNEMONIC_NOP || i.mnemonic == ZYDIS_MNEMONIC_INT3;
}

Refusal relocate(const ZydisDecodedInstruction& i, const u8* bytes, u64 address, Emitter& to) {
  const u64 next = address + i.length;
  Refusal refusal = Refusal::none;
  u64 target = 0;
  if (i.mnemonic == ZYDIS_MNEMONIC_INT3 || i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
      i.meta.category == ZYDIS_CATEGORY_INTERRUPT) {
    refusal = Refusal::immovable;
  } else if (has_relative_branch(i)) {
    relative_target(i, address, target);
    refusal = move_branch(i, bytes, next, target, to);
  } else if (i.meta.category == ZYDIS_CATEGORY_CALL) {
    refusal = move_indirect_call(i, bytes, next, to);
  } else if (relative_target(i, address, target)) {
    refusal = copy_relative_memory(i, bytes, target, to);
  } else {
    to.bytes(bytes, i.length);
  }
  if (refusal == Refusal::none && to.overflow()) {
    return Refusal::immovable;
  }
  return refusal;
}

}  // namespace selfheal::patch
