// What glibc's crt1.o has at the entry point, in the order of its ways to load main's address:
//
//   Scrt1.o, relaxed by the linker     lea   main(%rip), %rdi
//   Scrt1.o, not relaxed               mov   main@GOTPCREL(%rip), %rdi
//   crt1.o (not position-independent)  mov   $main, %rdi     (or the shorter mov $main, %edi)
//
//                                      call  *__libc_start_main@GOTPCREL(%rip)
#include "lib/image/program_main.h"

#include <Zydis/Zydis.h>
#include <cstring>

namespace selfheal::image {
namespace {

constexpr unsigned longest_start = 32;  // instructions; glibc's has 13

struct Instruction {
  ZydisDecodedInstruction data;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

u64 entry_point(const Module& module) {
  Elf64_Ehdr header;
  if (!module.readable(module.start, sizeof header)) {
    return 0;
  }
  std::memcpy(&header, pointer_to<const void>(module.start), sizeof header);
  return module.bias + header.e_entry;
}

// What a load of rdi or edi loads; `next` is the address of the instruction behind it.
u64 loaded_value(const Module& module, const Instruction& instruction, u64 next) {
  const ZydisDecodedOperand& from = instruction.operands[1];
  if (instruction.data.mnemonic == ZYDIS_MNEMONIC_MOV &&
      from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    return from.imm.value.u;
  }
  if (from.type != ZYDIS_OPERAND_TYPE_MEMORY || from.mem.base != ZYDIS_REGISTER_RIP) {
    return 0;
  }
  const u64 address = next + static_cast<u64>(from.mem.disp.value);
  if (instruction.data.mnemonic == ZYDIS_MNEMONIC_LEA) {
    return address;
  }
  u64 value = 0;
  if (instruction.data.mnemonic == ZYDIS_MNEMONIC_MOV && module.readable(address, sizeof value)) {
    std::memcpy(&value, pointer_to<const void>(address), sizeof value);
  }
  return value;
}

bool writes_first_argument(const Instruction& instruction) {
  const ZydisDecodedOperand& to = instruction.operands[0];
  return instruction.data.operand_count_visible == 2 && to.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         (to.reg.value == ZYDIS_REGISTER_RDI || to.reg.value == ZYDIS_REGISTER_EDI);
}

}  // namespace

u64 find_main(const Module& module) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  u64 address = entry_point(module);
  u64 found = 0;
  for (unsigned i = 0; i < longest_start; ++i) {
    u8 code[ZYDIS_MAX_INSTRUCTION_LENGTH];
    Instruction instruction;
    const u64 size = module.executable(address) ? read_original(address, code, sizeof code) : 0;
    if (size == 0 || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &instruction.data,
                                                          instruction.operands))) {
      return 0;
    }
    address += instruction.data.length;
    if (instruction.data.meta.category == ZYDIS_CATEGORY_CALL) {
      return module.executable(found) ? found : 0;
    }
    if (writes_first_argument(instruction)) {
      found = loaded_value(module, instruction, address);
    }
  }
  return 0;
}

}  // namespace selfheal::image
