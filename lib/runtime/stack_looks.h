// Activations: who is on the stack, as far as two looks at a thread can tell that they saw the same
// call.
//
//      first look          second look         kept
//      ──────────          ───────────         ────
//      strlen              memcmp
//      parse_name          parse_value
//      parse (cfa 7e40)    parse (cfa 7e40)    parse     innermost: the loop is here
//      handle (cfa 7f20)   handle (cfa 7f20)   handle
//      serve               serve               serve
//
// An activation is known by its frame's address (CFA) and its return address. Both are the same
// again when the same call is made once more, so looks that all find the loop's busy callee cannot
// tell it from the loop: see hang.cpp for what is done about that.
#pragma once

#include <span>

#include "lib/base/registers.h"
#include "lib/base/types.h"
#include "lib/recover/stack.h"

namespace selfheal::runtime {

struct Activation {
  u64 cfa;
  u64 return_address;
  bool operator==(const Activation&) const = default;
};

// The activations of a stack, from the innermost outwards; returns how many there is room for.
// Reads the stack: call it guarded. Signal-safe.
unsigned walk_activations(const Registers& start, std::span<Activation> out);

// Keeps of `kept` what is also in `seen`, both as walk_activations made them: from the innermost
// that they share outwards. Returns how many are left, at the front.
unsigned keep_common(std::span<Activation> kept, std::span<const Activation> seen);

}  // namespace selfheal::runtime
