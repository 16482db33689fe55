// What comparing a returned value, and the condition that follows, say about it.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/recover/caller_use.h"

namespace selfheal::recover {

// The flags come from comparing (the value + bias) with `with`; `test r, r` is a comparison with 0.
struct Comparison {
  enum Kind : u8 { none, constant, other, bits };
  Kind kind = none;
  unsigned width = 0;  // bits
  i64 with = 0;
  i64 bias = 0;
};

enum class Condition : u8 { equal, not_equal, is_signed, below, below_or_equal };

// Of a conditional jump, set or move; a condition and its opposite (but for equality) are one.
Condition condition_of(ZydisMnemonic mnemonic);

// The use, where the comparison alone tells it. False for equality with a constant other than -1
// and for an int tested for zero: there the sides of the branch have a say.
bool settle(const Comparison& comparison, Condition condition, CallerUse& use);

}  // namespace selfheal::recover
