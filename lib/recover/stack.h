// The stack of a thread that is not to be trusted: every load is inside the given bounds or
// refused.
#pragma once

#include "lib/base/types.h"

namespace selfheal::recover {

// [low, high), all of it readable memory. `low` may be the stack pointer, rounded down to its page.
struct StackBounds {
  u64 low;
  u64 high;
};

// The loads read other functions' frames, so AddressSanitizer's view of what is a variable is off.
__attribute__((no_sanitize("address"))) inline bool load(const StackBounds& bounds, u64 address,
                                                         u64& value) {
  if (address < bounds.low || address >= bounds.high || bounds.high - address < sizeof value) {
    return false;
  }
  using Unaligned [[gnu::aligned(1), gnu::may_alias]] = u64;
  value = *pointer_to<const Unaligned>(address);
  return true;
}

}  // namespace selfheal::recover
