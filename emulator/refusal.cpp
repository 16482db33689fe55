// Instructions that the processor must not execute for us. Everything else may be tried: what is
// privileged, undefined or not there faults in the thunk as it would in the program.
#include <cpuid.h>

#include "emulator/instruction.h"

namespace selfheal::emulator {
namespace {

struct Extensions {
  bool transactions;
  bool protection_keys;
};

// Asked once: CPUID leaves a virtual machine. The decoder holds the block lock.
const Extensions& extensions() {
  static constinit bool asked = false;
  static constinit Extensions e{};
  if (!asked) {
    u32 a;
    u32 b;
    u32 c;
    u32 d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
      constexpr u32 os_protection_keys = 1U << 4;
      e.transactions = (b & bit_RTM) != 0;
      e.protection_keys = (c & os_protection_keys) != 0;
    }
    asked = true;
  }
  return e;
}

// Its pointer reads as zero where there is none: rdssp is a hint then (SDM vol. 2, RDSSPQ).
bool has_shadow_stack() {
  u64 pointer = 0;
  asm volatile("rdsspq %0" : "+r"(pointer));
  return pointer != 0;
}

bool writes_fs(const Instruction& in) {
  for (unsigned i = 0; i < in.info.operand_count_visible; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && o.reg.value == ZYDIS_REGISTER_FS &&
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return true;
    }
  }
  return in.info.mnemonic == ZYDIS_MNEMONIC_WRFSBASE || in.info.mnemonic == ZYDIS_MNEMONIC_LFS;
}

// Linux lets programs call three gates, which trap behind the instruction; the others are #GP.
const char* called_gate(u64 vector) {
  switch (vector) {
    case 3:
      return "a debugger's trap";
    case 4:
      return "an overflow trap";
    case 0x80:
      return "a system call by the 32-bit interface";
    default:
      return nullptr;
  }
}

}  // namespace

const char* refusal(const Instruction& in) {
  if (writes_fs(in)) {
    return "a change of the FS base, which the engine finds its own state by";
  }
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_INT:
      return called_gate(in.immediate(0));
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
      return "a debugger's trap";
    case ZYDIS_MNEMONIC_SYSENTER:
      return "a system call by the 32-bit interface";
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_UIRET:
      return "a return from an interrupt";
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
      return "a call of the hypervisor";
    case ZYDIS_MNEMONIC_WRPKRU:
      return extensions().protection_keys ? "a change of the protection keys" : nullptr;
    case ZYDIS_MNEMONIC_XBEGIN:
    case ZYDIS_MNEMONIC_XEND:
    case ZYDIS_MNEMONIC_XABORT:
      return extensions().transactions ? "a transaction" : nullptr;
    case ZYDIS_MNEMONIC_SETSSBSY:
    case ZYDIS_MNEMONIC_RSTORSSP:
    case ZYDIS_MNEMONIC_SAVEPREVSSP:
    case ZYDIS_MNEMONIC_INCSSPD:
    case ZYDIS_MNEMONIC_INCSSPQ:
    case ZYDIS_MNEMONIC_WRSSD:
    case ZYDIS_MNEMONIC_WRSSQ:
      return has_shadow_stack() ? "a change of the shadow stack" : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace selfheal::emulator
