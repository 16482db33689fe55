#include "lib/recover/on_paper.h"

#include "lib/recover/holders.h"
#include "lib/recover/on_paper_internal.h"

namespace selfheal::recover {
namespace {

constexpr Gpr arguments[argument_count] = {rdi, rsi, rdx, rcx, r8, r9};
constexpr i64 frame_object = 64;  // bytes behind a taken address that a callee may change

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

Known Paper::passed(unsigned argument) const {
  return argument == 0 ? Known{} : registers_[arguments[argument - 1]];
}

void Paper::set_result(u64 value) {
  registers_[rax] = constant_of(static_cast<i64>(value));
}

void Paper::call_returned(i64 value, unsigned out_argument) {
  const Known out = passed(out_argument);
  call();
  registers_[rax] = constant_of(value, true);
  if (out.kind == Known::stack) {
    store(out, 64, constant_of(0, true));
  }
}

void Paper::forget_changed_since(const Paper& before) {
  for (unsigned i = 0; i < gpr_count; ++i) {
    if (i != rsp && registers_[i].is_constant() && !registers_[i].same(before.registers_[i])) {
      registers_[i] = fresh();
    }
  }
}

}  // namespace selfheal::recover
