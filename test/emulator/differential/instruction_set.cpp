#include "test/emulator/differential/instruction_set.h"

#include <cpuid.h>

namespace selfheal::differential {
namespace {

bool has_transactions() {
  static const bool has = [] {
    u32 a;
    u32 b;
    u32 c;
    u32 d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_RTM) != 0;
  }();
  return has;
}

}  // namespace

const ZydisDecodedOperand* Decoded::memory() const {
  for (unsigned i = 0; i < in.operand_count_visible; ++i) {
    if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
      return &operands[i];
    }
  }
  return nullptr;
}

bool Decoded::writes_register(ZydisRegister whole) const {
  for (unsigned i = 0; i < in.operand_count; ++i) {
    const ZydisDecodedOperand& o = operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        (o.reg.value == whole ||
         ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o.reg.value) == whole)) {
      return true;
    }
  }
  return false;
}

bool decode(std::span<const u8> code, Decoded& d) {
  static const ZydisDecoder decoder = [] {
    ZydisDecoder z;
    ZydisDecoderInit(&z, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return z;
  }();
  return ZYAN_SUCCESS(
      ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &d.in, d.operands));
}

int gpr_of(ZydisRegister r) {
  const ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
  return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15 ? whole - ZYDIS_REGISTER_RAX
                                                                    : -1;
}

bool is_dangerous(const Decoded& d) {
  switch (d.in.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_WRPKRU:
    case ZYDIS_MNEMONIC_UIRET:
      return true;
    case ZYDIS_MNEMONIC_INT:
      return d.operands[0].imm.value.u == 0x80;
    case ZYDIS_MNEMONIC_XBEGIN:
    case ZYDIS_MNEMONIC_XEND:
      return has_transactions();
    default:
      return d.writes_register(ZYDIS_REGISTER_FS);
  }
}

bool stands_alone(const Decoded& d, Volatile& ignored) {
  constexpr u64 low_half = 0xffff'ffff;
  switch (d.in.mnemonic) {
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDPRU:
      ignored.gpr[rax] = ignored.gpr[rdx] = low_half;
      return true;
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED: {
      const unsigned bits = d.operands[0].size;
      ignored.gpr[gpr_of(d.operands[0].reg.value)] = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
      ignored.flags = true;  // CF: there was no random number
      return true;
    }
    case ZYDIS_MNEMONIC_RDFSBASE:
      return true;  // not volatile, but nobody shall write where it points
    default:
      return false;
  }
}

bool uses_stack(const Decoded& d) {
  for (unsigned i = d.in.operand_count_visible; i < d.in.operand_count; ++i) {
    if (d.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && gpr_of(d.operands[i].mem.base) == rsp) {
      return true;
    }
  }
  return false;
}

bool moves_stack(const Decoded& d) {
  switch (d.in.mnemonic) {
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      return true;
    default:
      break;
  }
  for (unsigned i = 0; i < d.in.operand_count_visible; ++i) {
    const ZydisDecodedOperand& o = d.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(o.reg.value) == rsp &&
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::differential
