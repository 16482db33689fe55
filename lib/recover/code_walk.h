// One instruction at a time through a caller's code, with a bound on how many.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/recover/image_view.h"

namespace selfheal::recover {

class CodeWalk {
 public:
  CodeWalk(const ImageView& image, unsigned budget) : image_(image), budget_(budget) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  }

  // Decodes the instruction at `address`; false when the budget is spent or it is none.
  bool fetch(u64 address) {
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
    if (budget_ == 0) {
      return false;
    }
    --budget_;
    address_ = address;
    const u64 size = image_.read_code(image_.context, address, bytes, sizeof bytes);
    return size != 0 &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes, size, &instruction, operands));
  }

  u64 next() const { return address_ + instruction.length; }

  // Of a direct branch or call; 0 when it is indirect.
  u64 target() const {
    return instruction.raw.imm[0].is_relative
               ? next() + static_cast<u64>(instruction.raw.imm[0].value.s)
               : 0;
  }

  // The word of memory that a branch or call goes through, where it is named relative to the
  // instruction: `call *slot(%rip)`; else 0.
  u64 through_slot() const {
    const ZydisDecodedOperand& to = operands[0];
    return to.type == ZYDIS_OPERAND_TYPE_MEMORY && to.mem.base == ZYDIS_REGISTER_RIP
               ? next() + static_cast<u64>(to.mem.disp.value)
               : 0;
  }

  // So many instructions more, from now on.
  void grant(unsigned budget) { budget_ = budget; }

  bool is(ZydisMnemonic mnemonic) const { return instruction.mnemonic == mnemonic; }
  ZydisInstructionCategory category() const { return instruction.meta.category; }
  unsigned budget() const { return budget_; }

  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

 private:
  const ImageView& image_;
  ZydisDecoder decoder_;
  unsigned budget_;
  u64 address_ = 0;
};

}  // namespace selfheal::recover
