#include "lib/recover/on_paper.h"

#include <cstring>
#include <initializer_list>

#include "lib/recover/holders.h"

namespace selfheal::recover {
namespace {

constexpr Gpr arguments[argument_count] = {rdi, rsi, rdx, rcx, r8, r9};
constexpr i64 frame_object = 64;  // bytes behind a taken address that a callee may change

i64 narrowed(i64 value, unsigned bits) {
  switch (bits) {
    case 8:
      return static_cast<i8>(value);
    case 16:
      return static_cast<i16>(value);
    case 32:
      return static_cast<i32>(value);
    default:
      return value;
  }
}

u64 masked(i64 value, unsigned bits) {
  return bits >= 64 ? static_cast<u64>(value) : static_cast<u64>(value) & ((u64{1} << bits) - 1);
}

Known constant_of(i64 value, bool tainted = false) {
  return {Known::constant, 0, tainted, false, value};
}

bool vector_index(const ZydisDecodedOperand& operand, unsigned& index) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) {
    return false;
  }
  const ZydisRegister name = operand.reg.value;
  for (const ZydisRegister first : {ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_YMM0}) {
    if (name >= first && name < first + 16) {
      index = static_cast<unsigned>(name - first);
      return true;
    }
  }
  return false;
}

bool same_registers(const CodeWalk& walk) {
  const auto* const o = walk.operands;
  const unsigned last = walk.instruction.operand_count_visible - 1U;
  return o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[last].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         o[last - 1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         o[last].reg.value == o[last - 1].reg.value;
}

// Bytes that nobody writes: what is read there now was there before.
bool read_constant(const ImageView& image, u64 address, void* out, u64 size) {
  image::Module module;
  if (!image.find_module(image.context, address, module)) {
    return false;
  }
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if (segment.holds(address, size)) {
      return (segment.flags & PF_W) == 0 &&
             image.read_code(image.context, address, static_cast<u8*>(out), size) == size;
    }
  }
  return false;
}

}  // namespace

Known Paper::fresh() {
  return {Known::symbol, 0, false, false, next_symbol_++};
}

void Paper::at_entry() {
  for (unsigned i = 0; i < gpr_count; ++i) {
    registers_[i] = fresh();
  }
  for (u8 i = 0; i < argument_count; ++i) {
    registers_[arguments[i]] = {Known::argument, i, false, false, 0};
  }
  registers_[rsp] = {Known::stack, 0, false, false, 0};
}

void Paper::behind_call() {
  for (unsigned i = 0; i < gpr_count; ++i) {
    registers_[i] = fresh();
  }
  registers_[rsp] = {Known::stack, 0, false, false, 0};
}

void Paper::leave(i64 at, unsigned size, u64 value) {
  store({Known::stack, 0, false, false, at}, size * 8,
        constant_of(narrowed(static_cast<i64>(value), size * 8), true));
}

void Paper::behind_call(u64 value) {
  behind_call();
  registers_[rax] = constant_of(static_cast<i64>(value), true);
}

bool Paper::vector(u64& low) const {
  low = vectors_[0].low;
  return vectors_[0].known;
}

u64 Paper::fingerprint() const {
  u64 hash = 1469598103934665603U;
  const auto mix = [&hash](u64 value) { hash = (hash ^ value) * 1099511628211U; };
  for (const Known& known : registers_) {
    mix(known.kind);
    mix(known.kind == Known::symbol ? 0 : static_cast<u64>(known.number) * 8 + known.which);
  }
  for (unsigned i = 0; i < store_count; ++i) {
    mix(static_cast<u64>(stores[i].offset) * 64 + stores[i].argument);
    mix(stores[i].value.is_constant() ? static_cast<u64>(stores[i].value.number) : 0);
  }
  mix(vectors_[0].known ? vectors_[0].low : 1);
  return hash;
}

Known Paper::address_of_operand(const ZydisDecodedOperand& operand, const CodeWalk& walk) const {
  const auto& memory = operand.mem;
  if (memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS) {
    return {};
  }
  const i64 displacement = memory.disp.has_displacement ? memory.disp.value : 0;
  Gpr gpr;
  Known sum = constant_of(0);
  if (memory.base == ZYDIS_REGISTER_RIP) {
    sum = constant_of(static_cast<i64>(walk.next()));
  } else if (memory.base != ZYDIS_REGISTER_NONE) {
    sum = gpr_of(memory.base, gpr) ? registers_[gpr] : Known{};
  }
  if (memory.index != ZYDIS_REGISTER_NONE) {
    if (!gpr_of(memory.index, gpr) || !registers_[gpr].is_constant() || sum.kind == Known::symbol) {
      return {};
    }
    sum.number += registers_[gpr].number * memory.scale;
    sum.tainted = sum.tainted || registers_[gpr].tainted;
  }
  if (sum.kind == Known::symbol) {
    // Where a call's result points: only errno's place is of interest.
    return sum.from_call && displacement == 0 ? sum : Known{};
  }
  sum.number += displacement;
  return sum;
}

Known Paper::load(const Known& at, unsigned bits, const ImageView& image) const {
  if (at.kind == Known::stack) {
    for (unsigned i = 0; i < slot_count_; ++i) {
      if (slots_[i].at == at.number) {
        return slots_[i].value;
      }
    }
  } else if (at.kind == Known::constant && bits <= 64) {
    i64 value = 0;
    if (read_constant(image, static_cast<u64>(at.number), &value, bits / 8)) {
      return constant_of(narrowed(value, bits), at.tainted);
    }
  }
  Known something{};
  something.tainted = at.tainted;
  return something;
}

void Paper::store(const Known& at, unsigned bits, const Known& value) {
  if (at.kind == Known::stack) {
    for (unsigned i = 0; i < slot_count_; ++i) {
      if (slots_[i].at == at.number) {
        slots_[i].value = value;
        return;
      }
    }
    const unsigned i = slot_count_ < max_slots ? slot_count_++ : slot_next_++ % max_slots;
    slots_[i] = {at.number, value};
    return;
  }
  gives_away = gives_away || value.tainted;
  if (at.kind == Known::symbol && at.from_call && value.is_constant() && value.number > 0 &&
      value.number < 134 && bits == 32) {
    error_number = static_cast<i32>(value.number);
  }
  if (at.kind != Known::argument) {
    return;
  }
  const auto offset = static_cast<i32>(at.number);
  for (unsigned i = 0; i < store_count; ++i) {
    if (stores[i].argument == at.which && stores[i].offset == offset) {
      stores[i].value = value;
      stores[i].size = static_cast<u8>(bits / 8);
      return;
    }
  }
  if (store_count < max_stores && bits <= 64) {
    stores[store_count++] = {at.which, static_cast<u8>(bits / 8), offset, value};
  } else {
    stores_lost = true;
  }
}

Known Paper::value_of(const ZydisDecodedOperand& operand, const CodeWalk& walk,
                      const ImageView& image) const {
  Gpr gpr;
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return constant_of(operand.imm.value.s);
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return load(address_of_operand(operand, walk), operand.size, image);
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return gpr_of(operand.reg.value, gpr) ? registers_[gpr] : Known{};
    default:
      return {};
  }
}

void Paper::write(const ZydisDecodedOperand& operand, const CodeWalk& walk, Known value) {
  Gpr gpr;
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    store(address_of_operand(operand, walk), operand.size, value);
  } else if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, gpr)) {
    if (value.kind == Known::symbol && value.number == 0) {
      const bool tainted = value.tainted;
      value = fresh();
      value.tainted = tainted;
    } else if (value.is_constant()) {
      value.number = narrowed(value.number, operand.size);
    }
    registers_[gpr] = value;
  }
}

void Paper::call() {
  for (unsigned i = 0; i < gpr_count; ++i) {
    if (i != rbx && i != rbp && i != rsp && (i < r12 || i > r15)) {
      registers_[i] = fresh();
    }
  }
  registers_[rax].from_call = true;
  for (Vector& vector : vectors_) {
    vector.known = false;
  }
  for (unsigned i = 0; i < slot_count_;) {
    bool changed = false;
    for (unsigned e = 0; e < escaped_count_; ++e) {
      changed =
          changed || (slots_[i].at >= escaped_[e] && slots_[i].at < escaped_[e] + frame_object);
    }
    if (changed) {
      slots_[i] = slots_[--slot_count_];
    } else {
      ++i;
    }
  }
  flags_ = Flags::none;
  left_ = right_ = {};
}

void Paper::compare(const CodeWalk& walk, const ImageView& image) {
  const auto* const o = walk.operands;
  left_ = value_of(o[0], walk, image);
  right_ = value_of(o[1], walk, image);
  width_ = o[0].size;
  if (walk.is(ZYDIS_MNEMONIC_CMP)) {
    flags_ = Flags::difference;
    return;
  }
  flags_ = Flags::result;
  if (left_.is_constant() && right_.is_constant()) {
    left_.number &= right_.number;
  } else if (!same_registers(walk)) {
    const bool tainted = flags_are_tainted();
    left_ = {};
    left_.tainted = tainted;
  }
  right_ = constant_of(0);
}

Truth Paper::condition(const CodeWalk& walk) const {
  if (flags_ == Flags::none || !left_.is_constant() || !right_.is_constant()) {
    return Truth::unknown;
  }
  const i64 a = narrowed(left_.number, width_);
  const i64 b = narrowed(right_.number, width_);
  const u64 ua = masked(a, width_);
  const u64 ub = masked(b, width_);
  const i64 difference = narrowed(static_cast<i64>(ua - ub), width_);
  bool holds;
  switch (walk.instruction.mnemonic) {
#define CONDITION(cc, test)     \
  case ZYDIS_MNEMONIC_J##cc:    \
  case ZYDIS_MNEMONIC_SET##cc:  \
  case ZYDIS_MNEMONIC_CMOV##cc: \
    holds = (test);             \
    break
    CONDITION(Z, a == b);
    CONDITION(NZ, a != b);
    CONDITION(S, difference < 0);
    CONDITION(NS, difference >= 0);
    CONDITION(L, a < b);
    CONDITION(NL, a >= b);
    CONDITION(LE, a <= b);
    CONDITION(NLE, a > b);
    CONDITION(B, ua < ub);
    CONDITION(NB, ua >= ub);
    CONDITION(BE, ua <= ub);
    CONDITION(NBE, ua > ub);
#undef CONDITION
    default:
      return Truth::unknown;
  }
  return holds ? Truth::yes : Truth::no;
}

void Paper::replace(const Known& from, const Known& to) {
  for (Known& known : registers_) {
    if (known.same(from)) {
      known = to;
    }
  }
  for (unsigned i = 0; i < slot_count_; ++i) {
    if (slots_[i].value.same(from)) {
      slots_[i].value = to;
    }
  }
}

void Paper::assume(const CodeWalk& walk, bool holds) {
  const auto mnemonic = walk.instruction.mnemonic;
  const bool equal =
      mnemonic == ZYDIS_MNEMONIC_JZ ? holds : mnemonic == ZYDIS_MNEMONIC_JNZ && !holds;
  const bool something =
      left_.kind == Known::argument || (left_.kind == Known::symbol && left_.number != 0);
  if (flags_ != Flags::none && equal && something && right_.is_constant()) {
    replace(left_, right_);
  }
}

bool Paper::decidable(const CodeWalk& walk, const ImageView& image) const {
  const auto* const o = walk.operands;
  if (walk.is(ZYDIS_MNEMONIC_SBB)) {
    return same_registers(walk);
  }
  return walk.is(ZYDIS_MNEMONIC_SAR) && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o[1].imm.value.u + 1 == o[0].size &&
         !value_of(o[0], walk, image).is_constant();
}

void Paper::decide(const CodeWalk& walk, bool holds, const ImageView& image) {
  const auto* const o = walk.operands;
  if (walk.is(ZYDIS_MNEMONIC_SBB) || walk.is(ZYDIS_MNEMONIC_SAR)) {
    write(o[0], walk, constant_of(holds ? -1 : 0));
    flags_ = Flags::none;
  } else if (walk.category() == ZYDIS_CATEGORY_SETCC) {
    write(o[0], walk, constant_of(holds ? 1 : 0));
  } else if (holds) {
    write(o[0], walk, value_of(o[1], walk, image));
  }
}

// Results that are told from their operands; flags from results.
void Paper::arithmetic(const CodeWalk& walk, const ImageView& image) {
  const auto* const o = walk.operands;
  const bool unary = walk.instruction.operand_count_visible == 1;
  const Known a = value_of(o[0], walk, image);
  const Known b = unary ? constant_of(1) : value_of(o[1], walk, image);
  const auto mnemonic = walk.instruction.mnemonic;
  const bool both = a.is_constant() && b.is_constant();
  Known out{};
  const auto set = [&](i64 value) { out = constant_of(narrowed(value, o[0].size)); };
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_DEC:
      if (b.is_constant() && a.kind != Known::symbol) {
        const bool adds = mnemonic == ZYDIS_MNEMONIC_ADD || mnemonic == ZYDIS_MNEMONIC_INC;
        out = a;
        out.number = static_cast<i64>(
            static_cast<u64>(a.number) +
            (adds ? static_cast<u64>(b.number) : u64{0} - static_cast<u64>(b.number)));
      }
      break;
    case ZYDIS_MNEMONIC_XOR:
      if (same_registers(walk)) {
        set(0);
      } else if (both) {
        set(a.number ^ b.number);
      }
      break;
    case ZYDIS_MNEMONIC_AND:
      if (b.is_constant() && b.number == 0) {
        set(0);
      } else if (same_registers(walk)) {
        out = a;
      } else if (both) {
        set(a.number & b.number);
      }
      break;
    case ZYDIS_MNEMONIC_OR:
      if (b.is_constant() && b.number == -1) {
        set(-1);
      } else if (same_registers(walk)) {
        out = a;
      } else if (both) {
        set(a.number | b.number);
      }
      break;
    case ZYDIS_MNEMONIC_NEG:
      if (a.is_constant()) {
        set(-a.number);
      }
      break;
    case ZYDIS_MNEMONIC_NOT:
      if (a.is_constant()) {
        set(~a.number);
      }
      break;
    case ZYDIS_MNEMONIC_SHL:
      if (both) {
        set(static_cast<i64>(masked(a.number, o[0].size) << (b.number & 63)));
      }
      break;
    case ZYDIS_MNEMONIC_SHR:
      if (both) {
        set(static_cast<i64>(masked(a.number, o[0].size) >> (b.number & 63)));
      }
      break;
    case ZYDIS_MNEMONIC_SAR:
      if (both) {
        set(narrowed(a.number, o[0].size) >> (b.number & 63));
      }
      break;
    default:
      break;
  }
  out.tainted = a.tainted || (!unary && b.tainted);
  if (mnemonic == ZYDIS_MNEMONIC_NOT) {
    write(o[0], walk, out);
    return;
  }
  width_ = o[0].size;
  flags_ = Flags::result;
  left_ = out;
  right_ = constant_of(0);
  if (both && (mnemonic == ZYDIS_MNEMONIC_SUB || mnemonic == ZYDIS_MNEMONIC_DEC)) {
    flags_ = Flags::difference;
    left_ = a;
    right_ = b;
  }
  write(o[0], walk, out);
}

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

void Paper::forget_changed_since(const Paper& before) {
  for (unsigned i = 0; i < gpr_count; ++i) {
    if (i != rsp && registers_[i].is_constant() && !registers_[i].same(before.registers_[i])) {
      registers_[i] = fresh();
    }
  }
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
