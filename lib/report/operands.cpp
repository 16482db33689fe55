// Effective addresses follow Intel SDM vol. 1, 3.7.5: base + index * scale + displacement, cut to
// the address size (32 bits under the 67h prefix), plus the segment base. The bases of fs and gs
// and the vector registers are not in a record, so what depends on them is said to be unknown
// rather than shown wrong.
#include "lib/report/operands.h"

#include "lib/report/decoded.h"

namespace selfheal::report {
namespace {

constexpr unsigned max_registers = 12;

bool value_of(ZydisRegister reg, const Registers& registers, u64& out) {
  Slice slice;
  if (!slice_of(reg, slice)) {
    return false;
  }
  const u64 value = registers.gpr[slice.gpr] >> slice.shift;
  out = slice.bits >= 64 ? value : value & ((u64{1} << slice.bits) - 1);
  return true;
}

bool is_vector(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_X87:
    case ZYDIS_REGCLASS_MMX:
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
    case ZYDIS_REGCLASS_MASK:
      return true;
    default:
      return false;
  }
}

// "rdi = 0x0, esi = 0x2a", each register once, however often the instruction names it.
class RegisterList {
 public:
  RegisterList(Text& line, const Registers& registers) : line_(line), registers_(registers) {}

  void add(ZydisRegister reg) {
    u64 value = 0;
    const bool known = value_of(reg, registers_, value);
    if ((!known && !is_vector(reg)) || seen(reg) || count_ == max_registers) {
      return;
    }
    if (count_ != 0) {
      line_ << ", ";
    }
    seen_[count_++] = reg;
    line_ << ZydisRegisterGetString(reg);
    if (known) {
      line_ << " = 0x";
      line_.hex(value);
    } else {
      line_ << " was not recorded";
    }
  }

  bool empty() const { return count_ == 0; }

 private:
  bool seen(ZydisRegister reg) const {
    for (unsigned i = 0; i < count_; ++i) {
      if (seen_[i] == reg) {
        return true;
      }
    }
    return false;
  }

  Text& line_;
  const Registers& registers_;
  ZydisRegister seen_[max_registers] = {};
  unsigned count_ = 0;
};

bool is_hidden(const ZydisDecodedOperand& operand) {
  return operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
}

bool touches_memory(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.type != ZYDIS_MEMOP_TYPE_AGEN;
}

enum class Known : u8 { yes, needs_segment_base, needs_vector, needs_rip };

// Where a memory operand lies. `left` says that the registers are those after a jump out of the
// instruction (exec_violation): rip no longer stands at it.
Known effective_address(const ZydisDecodedInstruction& instruction,
                        const ZydisDecodedOperand& operand, const Registers& registers, bool left,
                        u64& out) {
  const ZydisDecodedOperandMem& mem = operand.mem;
  u64 address = mem.disp.has_displacement ? static_cast<u64>(mem.disp.value) : 0;
  u64 value = 0;
  if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
    if (left) {
      return Known::needs_rip;
    }
    address += registers.rip + instruction.length;
  } else if (mem.base != ZYDIS_REGISTER_NONE) {
    if (!value_of(mem.base, registers, value)) {
      return Known::needs_vector;
    }
    address += value;
  }
  if (mem.index != ZYDIS_REGISTER_NONE) {
    if (!value_of(mem.index, registers, value)) {
      return Known::needs_vector;
    }
    address += value * (mem.scale == 0 ? 1 : mem.scale);
  }
  const u64 bytes = operand.size / 8;
  if (mem.base == ZYDIS_REGISTER_RSP) {
    // push and call store below the stack pointer they start with; pop to memory counts its
    // address from the stack pointer it leaves (SDM vol. 2, POP).
    const bool writes = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    if (is_hidden(operand) && writes) {
      address -= bytes;
    } else if (!is_hidden(operand) && instruction.mnemonic == ZYDIS_MNEMONIC_POP) {
      address += bytes;
    }
  }
  if (instruction.address_width == 32) {
    address &= 0xffffffff;
  }
  out = address;
  return mem.segment == ZYDIS_REGISTER_FS || mem.segment == ZYDIS_REGISTER_GS
             ? Known::needs_segment_base
             : Known::yes;
}

bool has_data_address(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::null_access:
    case FaultKind::wild_access:
    case FaultKind::bus:
    case FaultKind::stack_exhaustion:
      return true;
    default:
      return false;
  }
}

const char* done_to(const ZydisDecodedOperand& operand) {
  const bool reads = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
  const bool writes = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  return reads && writes ? "read and written" : writes ? "written" : reads ? "read" : "touched";
}

void write_memory_operand(const Decoded& decoded, const ZydisDecodedOperand& operand,
                          const ZydisFormatter& formatter, const Fault& fault, Text& line) {
  char text[128];
  if (is_hidden(operand) || !ZYAN_SUCCESS(ZydisFormatterFormatOperand(
                                &formatter, &decoded.instruction, &operand, text, sizeof text,
                                ZYDIS_RUNTIME_ADDRESS_NONE, nullptr))) {
    line << (operand.mem.base == ZYDIS_REGISTER_RSP ? "the stack" : "memory");
  } else {
    line << text;
  }
  const bool left = fault.kind == FaultKind::exec_violation;
  u64 address = 0;
  switch (effective_address(decoded.instruction, operand, fault.registers, left, address)) {
    case Known::yes:
      line << " is at 0x";
      line.hex(address);
      break;
    case Known::needs_segment_base:
      line << " is 0x";
      line.hex(address);
      line << " from the base of " << ZydisRegisterGetString(operand.mem.segment)
           << ", which was not recorded";
      break;
    case Known::needs_vector:
      line << " is at addresses from a register that was not recorded";
      break;
    case Known::needs_rip:
      line << " is relative to the instruction";
      break;
  }
  line << ", ";
  if (operand.size != 0) {
    line.decimal(operand.size / 8) << (operand.size == 8 ? " byte " : " bytes ");
  }
  line << done_to(operand);
  const u64 extent = operand.size < 8 ? 1 : operand.size / 8;
  if (has_data_address(fault) && fault.address - address < extent) {
    line << "  <- the fault";
  }
}

}  // namespace

void write_operands(const u8* bytes, u64 size, const Fault& fault, Writer& out) {
  Decoded decoded;
  ZydisFormatter formatter;
  if (!decode(bytes, size, decoded) || !make_formatter(formatter)) {
    return;
  }
  const bool left = fault.kind == FaultKind::exec_violation;
  char buffer[line_capacity];
  Text line(buffer, sizeof buffer);
  label(line, "");
  RegisterList list(line, fault.registers);
  for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0 &&
        (!is_hidden(operand) || operand.reg.value != ZYDIS_REGISTER_RSP)) {
      list.add(operand.reg.value);
    } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && !(left && is_hidden(operand))) {
      list.add(operand.mem.base);
      list.add(operand.mem.index);
    }
  }
  if (!list.empty()) {
    out.line(line);
  }
  for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (touches_memory(operand) && !(left && is_hidden(operand))) {
      line.clear();
      label(line, "");
      write_memory_operand(decoded, operand, formatter, fault, line);
      out.line(line);
    }
  }
}

Divisor divisor_of(const u8* bytes, u64 size, const Registers& registers) {
  Decoded decoded;
  if (!decode(bytes, size, decoded)) {
    return Divisor::unknown;
  }
  const ZydisMnemonic mnemonic = decoded.instruction.mnemonic;
  const ZydisDecodedOperand& divisor = decoded.operands[0];
  u64 value = 0;
  if ((mnemonic != ZYDIS_MNEMONIC_DIV && mnemonic != ZYDIS_MNEMONIC_IDIV) ||
      divisor.type != ZYDIS_OPERAND_TYPE_REGISTER ||
      !value_of(divisor.reg.value, registers, value)) {
    return Divisor::unknown;
  }
  return value == 0 ? Divisor::zero : Divisor::not_zero;
}

}  // namespace selfheal::report
