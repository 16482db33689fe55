// What the stacks that several looks at a thread have found share.
//
//      first look          second look         shared
//      ──────────          ───────────         ──────
//      strlen              memcmp
//      parse_name          parse_value
//      parse (cfa 7e40)    parse (cfa 7e40)    parse     innermost: the loop is here
//      handle (cfa 7f20)   handle (cfa 7f20)   handle
//      serve               serve               serve
//
// An activation is known by its frame's address (CFA) and its return address: a function that was
// called from elsewhere, or deeper in a recursion, is another one. Both are the same again when the
// same call is made once more, so looks that all find the loop's busy callee cannot tell it from
// the loop: see hang.cpp for what is done about that.
//
// Plain computation on memory it is given; any thread, any context.
#pragma once

#include <span>

#include "lib/base/types.h"

namespace selfheal::runtime {

struct Activation {
  u64 cfa;
  u64 return_address;
  bool operator==(const Activation&) const = default;
};

// Keeps of `kept` what is also in `seen`, both from the innermost outwards: from the innermost that
// they share on. Returns how many are left, at the front.
unsigned keep_common(std::span<Activation> kept, std::span<const Activation> seen);

template <unsigned capacity>
class SharedActivations {
 public:
  void forget() { looks_ = count_ = 0; }

  // One more look. Of a stack that is deeper than there is room for, the innermost are kept.
  void look(std::span<const Activation> stack) {
    if (looks_++ == 0) {
      count_ = static_cast<u32>(stack.size() < capacity ? stack.size() : capacity);
      for (u32 i = 0; i < count_; ++i) {
        list_[i] = stack[i];
      }
    } else {
      count_ = keep_common({list_, count_}, stack);
    }
  }

  u32 looks() const { return looks_; }
  std::span<const Activation> shared() const { return {list_, count_}; }
  bool holds(const Activation& wanted) const {
    for (const Activation& activation : shared()) {
      if (activation == wanted) {
        return true;
      }
    }
    return false;
  }

 private:
  u32 looks_;
  u32 count_;
  Activation list_[capacity];
};

}  // namespace selfheal::runtime
