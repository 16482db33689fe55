// Flags, what is found to be so at a branch, and results that depend on it.
#include "lib/recover/on_paper_internal.h"

namespace selfheal::recover {

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

bool Paper::has_known_sign(const Known& value) const {
  return value.kind == Known::symbol && value.number != 0 && value.number == signed_symbol_;
}

bool Paper::decidable(const CodeWalk& walk, const ImageView& image) const {
  const auto* const o = walk.operands;
  if (walk.is(ZYDIS_MNEMONIC_SBB)) {
    return same_registers(walk);
  }
  if (!spreads_sign(walk)) {
    return false;
  }
  const Known value = value_of(o[0], walk, image);
  return !value.is_constant() && !has_known_sign(value);
}

void Paper::decide(const CodeWalk& walk, bool holds, const ImageView& image) {
  const auto* const o = walk.operands;
  if (walk.is(ZYDIS_MNEMONIC_SBB)) {
    write(o[0], walk, constant_of(holds ? -1 : 0));
    flags_ = Flags::none;
  } else if (spreads_sign(walk)) {
    const Known value = value_of(o[0], walk, image);
    if (value.kind == Known::symbol) {
      signed_symbol_ = value.number;
      negative_ = holds;
    }
    write(o[0], walk, spread_sign(walk, holds));
    flags_ = Flags::none;
  } else if (walk.category() == ZYDIS_CATEGORY_SETCC) {
    write(o[0], walk, constant_of(holds ? 1 : 0));
  } else if (holds) {
    write(o[0], walk, value_of(o[1], walk, image));
  }
}

}  // namespace selfheal::recover
