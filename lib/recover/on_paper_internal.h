// What the parts of `Paper` (on_paper.h) share: numbers of a width, operands.
#pragma once

#include <initializer_list>

#include "lib/recover/on_paper.h"

namespace selfheal::recover {

inline i64 narrowed(i64 value, unsigned bits) {
  switch (bits) {
    case 8:
      return static_cast<i8>(value);
    case 16:
      return static_cast<i16>(value);
    case 32:
      return static_cast<i32>(value);
    default:
      return value;
  }
}

inline u64 masked(i64 value, unsigned bits) {
  return bits >= 64 ? static_cast<u64>(value) : static_cast<u64>(value) & ((u64{1} << bits) - 1);
}

inline Known constant_of(i64 value, bool tainted = false) {
  return {Known::constant, 0, tainted, false, value};
}

inline bool vector_index(const ZydisDecodedOperand& operand, unsigned& index) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) {
    return false;
  }
  const ZydisRegister name = operand.reg.value;
  for (const ZydisRegister first : {ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_YMM0}) {
    if (name >= first && name < first + 16) {
      index = static_cast<unsigned>(name - first);
      return true;
    }
  }
  return false;
}

inline bool same_registers(const CodeWalk& walk) {
  const auto* const o = walk.operands;
  const unsigned last = walk.instruction.operand_count_visible - 1U;
  return o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[last].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         o[last - 1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         o[last].reg.value == o[last - 1].reg.value;
}

// A shift of the sign into all bits (sar), or into the last one or two (shr): the compiler's way to
// make 0 or something of it without a branch.
inline bool spreads_sign(const CodeWalk& walk) {
  const auto* const o = walk.operands;
  if (o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    return false;
  }
  const u64 left = o[0].size - o[1].imm.value.u;
  return (walk.is(ZYDIS_MNEMONIC_SAR) && left == 1) ||
         (walk.is(ZYDIS_MNEMONIC_SHR) && (left == 1 || left == 2));
}

// Its result; of shr by all but two bits for a number that is not huge: both are the sign.
inline Known spread_sign(const CodeWalk& walk, bool negative) {
  const unsigned width = walk.operands[0].size;
  return constant_of(!negative ? 0
                     : walk.is(ZYDIS_MNEMONIC_SAR)
                         ? -1
                         : static_cast<i64>(masked(-1, width) >> walk.operands[1].imm.value.u));
}

// Bytes that nobody writes: what is read there now was there before.
inline bool read_constant(const ImageView& image, u64 address, void* out, u64 size) {
  image::Module module;
  if (!image.find_module(image.context, address, module)) {
    return false;
  }
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if (segment.holds(address, size)) {
      return (segment.flags & PF_W) == 0 &&
             image.read_code(image.context, address, static_cast<u8*>(out), size) == size;
    }
  }
  return false;
}

}  // namespace selfheal::recover
