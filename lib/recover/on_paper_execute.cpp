// One instruction: which part of `Paper` it is for, moves, and vector registers.
#include "lib/recover/holders.h"
#include "lib/recover/on_paper_internal.h"

namespace selfheal::recover {

void Paper::store_vector(const Known& at, unsigned bits, const Vector& vector) {
  for (unsigned i = 0; i * 64 < bits && i < 2; ++i) {
    Known to = at;
    to.number += i * 8;
    store(
        to, bits < 64 ? bits : 64,
        vector.known ? constant_of(static_cast<i64>(i == 0 ? vector.low : vector.high)) : Known{});
  }
}

// Loads, stores, copies and zeroing of vector registers; false for all else.
bool Paper::vector_move(const CodeWalk& walk, const ImageView& image) {
  const auto* const o = walk.operands;
  unsigned to = 0;
  unsigned from = 0;
  switch (walk.instruction.mnemonic) {
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_VPXOR:
    case ZYDIS_MNEMONIC_VXORPS:
    case ZYDIS_MNEMONIC_VXORPD:
      if (!same_registers(walk) || !vector_index(o[0], to)) {
        return false;
      }
      vectors_[to] = {true, 0, 0};
      return true;
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_MOVQ:
    case ZYDIS_MNEMONIC_MOVD:
      break;
    default:
      return false;
  }
  if (o[0].type == ZYDIS_OPERAND_TYPE_MEMORY && vector_index(o[1], from)) {
    store_vector(address_of_operand(o[0], walk), o[0].size, vectors_[from]);
    return true;
  }
  if (!vector_index(o[0], to)) {
    return false;
  }
  if (vector_index(o[1], from)) {
    vectors_[to] = vectors_[from];
    return true;
  }
  vectors_[to] = {};
  const Known at =
      o[1].type == ZYDIS_OPERAND_TYPE_MEMORY ? address_of_operand(o[1], walk) : Known{};
  u64 bytes[2] = {0, 0};
  if (at.kind == Known::constant && o[1].size <= 128 &&
      read_constant(image, static_cast<u64>(at.number), bytes, o[1].size / 8)) {
    vectors_[to] = {true, bytes[0], bytes[1]};
  }
  return true;
}

void Paper::forget_written(const CodeWalk& walk, const ImageView& image) {
  bool tainted = false;
  for (unsigned i = 0; i < walk.instruction.operand_count; ++i) {
    if ((walk.operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) {
      tainted = tainted || value_of(walk.operands[i], walk, image).tainted;
    }
  }
  Known something{};
  something.tainted = tainted;
  for (unsigned i = 0; i < walk.instruction.operand_count; ++i) {
    const auto& operand = walk.operands[i];
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) {
      continue;
    }
    unsigned index = 0;
    if (vector_index(operand, index)) {
      vectors_[index].known = false;
    } else if (!(operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                 operand.reg.value == ZYDIS_REGISTER_RSP)) {
      write(operand, walk, something);
    }
  }
  if (walk.instruction.cpu_flags != nullptr && walk.instruction.cpu_flags->modified != 0) {
    flags_ = Flags::none;
    left_ = right_ = {};
    left_.tainted = tainted;
  }
}

// movslq (table, index, 4), target; add table, target; jmp *target
void Paper::note_table(const ZydisDecodedOperand& from) {
  Gpr base;
  Gpr index;
  if (from.type == ZYDIS_OPERAND_TYPE_MEMORY && from.mem.scale == 4 &&
      gpr_of(from.mem.base, base) && gpr_of(from.mem.index, index) &&
      registers_[base].is_constant()) {
    table = static_cast<u64>(registers_[base].number);
  }
}

// mov slot(%rip), target
void Paper::note_load(const CodeWalk& walk) {
  const auto& from = walk.operands[1];
  Gpr gpr;
  if (from.type == ZYDIS_OPERAND_TYPE_MEMORY && from.mem.base == ZYDIS_REGISTER_RIP &&
      from.size == 64 && gpr_of(walk.operands[0].reg.value, gpr) &&
      registers_[gpr].kind == Known::symbol) {
    const Known at = address_of_operand(from, walk);
    loads_[load_next_++ % max_loads] = {registers_[gpr].number, static_cast<u64>(at.number)};
  }
}

u64 Paper::loaded_from(const Known& value) const {
  for (const Load& load : loads_) {
    if (value.kind == Known::symbol && value.number != 0 && value.number == load.symbol) {
      return load.from;
    }
  }
  return 0;
}

void Paper::execute(const CodeWalk& walk, const ImageView& image) {
  const auto* const o = walk.operands;
  if (vector_move(walk, image)) {
    return;
  }
  switch (walk.instruction.mnemonic) {
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_NOP:
      return;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      note_table(o[1]);
      write(o[0], walk, value_of(o[1], walk, image));
      note_load(walk);
      return;
    case ZYDIS_MNEMONIC_MOVZX: {
      Known value = value_of(o[1], walk, image);
      if (value.is_constant()) {
        value.number = static_cast<i64>(masked(value.number, o[1].size));
      }
      write(o[0], walk, value);
      return;
    }
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CWDE:
      return;  // constants are kept sign-extended
    case ZYDIS_MNEMONIC_LEA: {
      const Known address = address_of_operand(o[1], walk);
      if (address.kind == Known::stack && escaped_count_ < max_escaped) {
        escaped_[escaped_count_++] = address.number;
      }
      Known value = address;
      if (value.kind == Known::symbol) {
        value = {};
        Gpr gpr;
        value.tainted = gpr_of(o[1].mem.base, gpr) && registers_[gpr].tainted;
      }
      write(o[0], walk, value);
      return;
    }
    case ZYDIS_MNEMONIC_PUSH: {
      const Known value = value_of(o[0], walk, image);
      registers_[rsp].number -= 8;
      store(registers_[rsp], 64, value);
      return;
    }
    case ZYDIS_MNEMONIC_POP: {
      const Known value = load(registers_[rsp], 64, image);
      registers_[rsp].number += 8;
      write(o[0], walk, value);
      return;
    }
    case ZYDIS_MNEMONIC_LEAVE:
      registers_[rsp] = registers_[rbp];
      registers_[rbp] = load(registers_[rsp], 64, image);
      registers_[rsp].number += 8;
      return;
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
      compare(walk, image);
      return;
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
      arithmetic(walk, image);
      return;
    default:
      break;
  }
  const auto category = walk.category();
  if (category == ZYDIS_CATEGORY_SETCC || category == ZYDIS_CATEGORY_CMOV) {
    const Truth truth = condition(walk);
    if (truth != Truth::unknown) {
      const bool tainted = flags_are_tainted();
      decide(walk, truth == Truth::yes, image);
      Gpr gpr;
      if (tainted && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(o[0].reg.value, gpr)) {
        registers_[gpr].tainted = true;
      }
      return;
    }
  }
  forget_written(walk, image);
}

}  // namespace selfheal::recover
