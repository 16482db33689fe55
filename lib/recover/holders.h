// Where a caller keeps the value that a call returned: registers and slots of its own frame.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/base/registers.h"

namespace selfheal::recover {

// The general-purpose register an operand names, whatever its width; false for others. The high
// byte registers (ah, ...) hold no copy of a value.
inline bool gpr_of(ZydisRegister name, Gpr& gpr) {
  const ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
  if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15) {
    return false;
  }
  gpr = static_cast<Gpr>(full - ZYDIS_REGISTER_RAX);
  return true;
}

class Holders {
 public:
  static Holders none() { return {}; }
  static Holders only(Gpr gpr) {
    Holders holders;
    holders.registers_ = static_cast<u16>(1u << gpr);
    return holders;
  }

  bool empty() const { return registers_ == 0 && slot_count_ == 0; }
  bool has(Gpr gpr) const { return (registers_ >> gpr & 1) != 0; }

  // A slot of the frame, as far as it can be told.
  static bool may_hold(const ZydisDecodedOperand& operand) {
    Slot slot;
    return slot_of(operand, slot);
  }

  // A register or a slot that holds the value.
  bool holds(const ZydisDecodedOperand& operand) const {
    Gpr gpr;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      return gpr_of(operand.reg.value, gpr) && has(gpr);
    }
    Slot slot;
    return slot_of(operand, slot) && index_of(slot) < slot_count_;
  }

  // The operand is a memory access through a register that holds the value.
  bool is_dereferenced(const ZydisDecodedOperand& operand) const {
    Gpr gpr;
    return operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
           ((gpr_of(operand.mem.base, gpr) && has(gpr)) ||
            (gpr_of(operand.mem.index, gpr) && has(gpr)));
  }

  // The operand gets a copy of the value.
  void add(const ZydisDecodedOperand& operand) {
    Gpr gpr;
    Slot slot;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, gpr)) {
      registers_ = static_cast<u16>(registers_ | 1u << gpr);
    } else if (slot_of(operand, slot) && slot_count_ < max_slots && index_of(slot) == slot_count_) {
      slots_[slot_count_++] = slot;
    }
  }

  // The operand gets another value. A changed rsp or rbp makes the slots that count from it
  // unknown.
  void remove(const ZydisDecodedOperand& operand) {
    Gpr gpr;
    Slot slot;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, gpr)) {
      registers_ = static_cast<u16>(registers_ & ~(1u << gpr));
      drop_slots(gpr);
    } else if (slot_of(operand, slot)) {
      const unsigned i = index_of(slot);
      if (i < slot_count_) {
        slots_[i] = slots_[--slot_count_];
      }
    }
  }

  // System V psABI, 3.2.1: what a call leaves alone.
  void call() {
    registers_ &= 1u << rbx | 1u << rbp | 1u << r12 | 1u << r13 | 1u << r14 | 1u << r15;
  }

 private:
  static constexpr unsigned max_slots = 4;

  struct Slot {
    Gpr base;
    i64 displacement;
  };

  static bool slot_of(const ZydisDecodedOperand& operand, Slot& slot) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type != ZYDIS_MEMOP_TYPE_MEM ||
        operand.mem.index != ZYDIS_REGISTER_NONE ||
        (operand.mem.base != ZYDIS_REGISTER_RSP && operand.mem.base != ZYDIS_REGISTER_RBP)) {
      return false;
    }
    slot.base = operand.mem.base == ZYDIS_REGISTER_RSP ? rsp : rbp;
    slot.displacement = operand.mem.disp.has_displacement ? operand.mem.disp.value : 0;
    return true;
  }

  unsigned index_of(const Slot& slot) const {
    unsigned i = 0;
    while (i < slot_count_ &&
           (slots_[i].base != slot.base || slots_[i].displacement != slot.displacement)) {
      ++i;
    }
    return i;
  }

  void drop_slots(Gpr base) {
    for (unsigned i = 0; i < slot_count_;) {
      if (slots_[i].base == base) {
        slots_[i] = slots_[--slot_count_];
      } else {
        ++i;
      }
    }
  }

  u16 registers_ = 0;
  u8 slot_count_ = 0;
  Slot slots_[max_slots] = {};
};

}  // namespace selfheal::recover
