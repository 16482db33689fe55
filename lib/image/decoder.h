// One instruction at a time through a module's text.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/image/function.h"

namespace selfheal::image {

struct Decoder {
  Decoder() { ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }

  // False on bytes that are no instruction or lie outside the module's text.
  bool decode(const Module& module, u64 address, u64 end) {
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
    const u64 left = end - address;
    const u64 size = left < sizeof bytes ? left : sizeof bytes;
    return read_original(module, address, bytes, size) &&
           ZYAN_SUCCESS(
               ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes, size, &instruction));
  }

  // Target of the direct branch just decoded at `address`; 0 for everything else.
  u64 target(u64 address) const {
    const auto category = instruction.meta.category;
    const bool branch = category == ZYDIS_CATEGORY_COND_BR || category == ZYDIS_CATEGORY_UNCOND_BR;
    return branch && instruction.raw.imm[0].is_relative
               ? address + instruction.length + static_cast<u64>(instruction.raw.imm[0].value.s)
               : 0;
  }

  ZydisDecoder decoder;
  ZydisDecodedInstruction instruction;
};

// What looks like an instruction may be the middle of another one: true when decoding the function
// from its start arrives at this address.
bool reached_by_decoding(const Module& module, const Function& function, u64 instruction);

}  // namespace selfheal::image
