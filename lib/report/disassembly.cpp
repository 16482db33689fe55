#include "lib/report/disassembly.h"

#include "lib/report/decoded.h"

namespace selfheal::report {

bool decode(const u8* bytes, u64 size, Decoded& out) {
  ZydisDecoder decoder;
  return ZYAN_SUCCESS(
             ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
         ZYAN_SUCCESS(
             ZydisDecoderDecodeFull(&decoder, bytes, size, &out.instruction, out.operands));
}

bool make_formatter(ZydisFormatter& out) {
  if (!ZYAN_SUCCESS(ZydisFormatterInit(&out, ZYDIS_FORMATTER_STYLE_INTEL))) {
    return false;
  }
  const auto set = [&out](ZydisFormatterProperty property, ZyanUPointer value) {
    return ZYAN_SUCCESS(ZydisFormatterSetProperty(&out, property, value));
  };
  constexpr ZyanUPointer none = ZYDIS_PADDING_DISABLED;
  return set(ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE) &&
         set(ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE) &&
         set(ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, none) &&
         set(ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, none) &&
         set(ZYDIS_FORMATTER_PROP_DISP_PADDING, none) &&
         set(ZYDIS_FORMATTER_PROP_IMM_PADDING, none);
}

bool slice_of(ZydisRegister reg, Slice& out) {
  const ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
  if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64) {
    return false;
  }
  out.gpr = static_cast<u8>(ZydisRegisterGetId(whole));
  out.shift = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH ? 8 : 0;
  out.bits = static_cast<u8>(ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg));
  return true;
}

u64 disassemble(const u8* bytes, u64 size, u64 address, Text& out) {
  static_assert(nowhere == ZYDIS_RUNTIME_ADDRESS_NONE);
  Decoded decoded;
  ZydisFormatter formatter;
  char text[192];
  if (!decode(bytes, size, decoded) || !make_formatter(formatter) ||
      !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
          &formatter, &decoded.instruction, decoded.operands,
          decoded.instruction.operand_count_visible, text, sizeof text, address, nullptr))) {
    return 0;
  }
  out << text;
  return decoded.instruction.length;
}

}  // namespace selfheal::report
