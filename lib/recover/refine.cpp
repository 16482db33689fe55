// What the kernel does not say about a fault, the instruction does.
//
//   #PF  vector 14   the address is exact, the error code says read, write or fetch
//   #GP  vector 13   non-canonical address, misaligned vector access, privileged instruction:
//   si_addr
//                    is 0 for all of them, and only the operands tell which
//   #SS  vector 12   a non-canonical address on the stack segment; the kernel makes it SIGBUS
//   #AC  vector 17   misaligned while the program's alignment check is on: no address either
//   #DE  vector 0    DIV and IDIV; also INT_MIN / -1
//
// (Intel SDM vol. 3, 6.15; arch/x86/kernel/traps.c.)
#include <Zydis/Zydis.h>
#include <csignal>

#include "lib/recover/diagnose.h"

namespace selfheal::recover {
namespace {

enum : u8 { vector_de = 0, vector_ss = 12, vector_gp = 13, vector_pf = 14, vector_ac = 17 };

constexpr u64 page_fault_write = 1 << 1;
constexpr u64 page_fault_fetch = 1 << 4;

struct Instruction {
  explicit Instruction(std::span<const u8> bytes) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    valid = ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &decoded, operands));
  }

  bool valid;
  ZydisDecodedInstruction decoded;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

bool canonical(u64 address) {
  return (static_cast<i64>(address << 16) >> 16) == static_cast<i64>(address);
}

// The value of a 64- or 32-bit address register; false for the others (vector indices, none).
bool value_of(ZydisRegister name, const Registers& registers, u64 next, u64& value) {
  if (name == ZYDIS_REGISTER_NONE) {
    value = 0;
    return true;
  }
  if (name == ZYDIS_REGISTER_RIP) {
    value = next;
    return true;
  }
  if (name >= ZYDIS_REGISTER_RAX && name <= ZYDIS_REGISTER_R15) {
    value = registers.gpr[name - ZYDIS_REGISTER_RAX];
    return true;
  }
  if (name >= ZYDIS_REGISTER_EAX && name <= ZYDIS_REGISTER_R15D) {
    value = static_cast<u32>(registers.gpr[name - ZYDIS_REGISTER_EAX]);
    return true;
  }
  return false;
}

bool effective_address(const Instruction& instruction, const ZydisDecodedOperand& operand,
                       const Registers& registers, u64& address) {
  const auto& memory = operand.mem;
  u64 base = 0;
  u64 index = 0;
  if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || memory.type != ZYDIS_MEMOP_TYPE_MEM ||
      memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS ||
      !value_of(memory.base, registers, registers.rip + instruction.decoded.length, base) ||
      !value_of(memory.index, registers, 0, index)) {
    return false;
  }
  address = base + index * memory.scale +
            (memory.disp.has_displacement ? static_cast<u64>(memory.disp.value) : 0);
  if (instruction.decoded.address_width == 32) {
    address = static_cast<u32>(address);
  }
  return true;
}

Access access_of(const ZydisDecodedOperand& operand) {
  return (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 ? Access::write : Access::read;
}

void set_access(Fault& fault, u64 address, Access access) {
  fault.address = address;
  fault.access = access;
  fault.kind = address < null_page_end ? FaultKind::null_access : FaultKind::wild_access;
}

// A branch whose target is no address at all faults at the branch, not at the target.
bool bad_branch(const Instruction& instruction, const Registers& registers, Fault& fault) {
  const auto category = instruction.decoded.meta.category;
  if (category == ZYDIS_CATEGORY_RET) {
    fault.kind = FaultKind::return_mismatch;  // no call has pushed such a target
    fault.access = Access::execute;
    return true;
  }
  if (category != ZYDIS_CATEGORY_CALL && category != ZYDIS_CATEGORY_UNCOND_BR) {
    return false;
  }
  u64 target = 0;
  const auto& operand = instruction.operands[0];
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    // The pointer could be read, or refine_protection would have found its place. What it held is
    // not in the registers.
    u64 place = 0;
    if (fault.trap != vector_gp || instruction.decoded.meta.branch_type != ZYDIS_BRANCH_TYPE_NEAR ||
        !effective_address(instruction, operand, registers, place)) {
      return false;
    }
  } else if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER ||
             !value_of(operand.reg.value, registers, 0, target) || canonical(target)) {
    return false;
  }
  fault.kind = FaultKind::exec_violation;
  fault.access = Access::execute;
  fault.address = target;
  return true;
}

void refine_protection(const Instruction& instruction, Fault& fault) {
  const Registers& registers = fault.registers;
  const ZydisDecodedOperand* aligned = nullptr;
  u64 aligned_address = 0;
  for (unsigned i = 0; i < instruction.decoded.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    u64 address = 0;
    if (!effective_address(instruction, operand, registers, address)) {
      continue;
    }
    if (!canonical(address)) {
      return set_access(fault, address, access_of(operand));
    }
    if (operand.size >= 128 && address % 16 != 0) {
      aligned = &operand;
      aligned_address = address;
    }
  }
  if (bad_branch(instruction, registers, fault)) {
    return;
  }
  if (aligned != nullptr) {
    return set_access(fault, aligned_address, access_of(*aligned));
  }
  if ((instruction.decoded.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0) {
    fault.kind = FaultKind::illegal_instruction;
    fault.access = Access::none;
  }
}

// #AC carries no address either: the operand that is not aligned to its own size.
void refine_alignment(const Instruction& instruction, Fault& fault) {
  for (unsigned i = 0; i < instruction.decoded.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    u64 address = 0;
    if (effective_address(instruction, operand, fault.registers, address) && operand.size >= 16 &&
        address % (operand.size / 8) != 0) {
      fault.address = address;
      fault.access = access_of(operand);
      return;
    }
  }
}

void refine_page_fault(Fault& fault) {
  if ((fault.error_code & page_fault_fetch) != 0 || fault.address == fault.registers.rip) {
    fault.kind = FaultKind::exec_violation;
    fault.access = Access::execute;
    return;
  }
  fault.access = (fault.error_code & page_fault_write) != 0 ? Access::write : Access::read;
  if (fault.kind != FaultKind::stack_exhaustion) {
    set_access(fault, fault.address, fault.access);
  }
}

}  // namespace

Fault refine(const Fault& fault, std::span<const u8> bytes) {
  Fault refined = fault;
  if (fault.signal == 0 || fault.code <= 0) {
    return refined;  // already exact, or sent by somebody: not the instruction's doing
  }
  const Instruction instruction(bytes);
  switch (fault.signal) {
    case SIGSEGV:
      if (fault.trap == vector_pf) {
        refine_page_fault(refined);
      } else if (fault.trap == vector_gp && instruction.valid) {
        refine_protection(instruction, refined);
      }
      break;
    case SIGBUS:
      if (fault.trap == vector_ss && instruction.valid) {
        refine_protection(instruction, refined);
      } else if (fault.trap == vector_ac && instruction.valid) {
        refine_alignment(instruction, refined);
      } else if (fault.trap == vector_pf) {
        refined.access = (fault.error_code & page_fault_write) != 0 ? Access::write : Access::read;
      }
      break;
    case SIGFPE: {
      const bool divides =
          instruction.valid && (instruction.decoded.mnemonic == ZYDIS_MNEMONIC_DIV ||
                                instruction.decoded.mnemonic == ZYDIS_MNEMONIC_IDIV);
      refined.kind = fault.trap == vector_de && (divides || !instruction.valid)
                         ? FaultKind::divide
                         : FaultKind::floating_point;
      refined.access = Access::none;
      break;
    }
    case SIGILL:
      refined.kind = FaultKind::illegal_instruction;
      refined.access = Access::none;
      break;
    default:
      break;
  }
  return refined;
}

}  // namespace selfheal::recover
