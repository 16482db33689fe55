// Of a fault next to the stack pointer: is the stack used up, and by which recursion?
#pragma once

#include <span>

#include "lib/base/fault.h"
#include "lib/recover/diagnose.h"

namespace selfheal::runtime {

// 20 KiB: not for a stack.
struct StackSearch {
  recover::StackBounds bounds;
  recover::RecursionSearch search;
  recover::RecursionFrames recursion;

  const recover::RecursionFrames* found() const {
    return recursion.recursion.found ? &recursion : nullptr;
  }
};

// Walks the whole stack where `fault` may be its exhaustion. When it is a recursion's: makes it
// that kind of fault, and lets `frames` show both of its ends. Signal-safe, guarded.
void search_stack(Fault& fault, std::span<recover::Frame> frames, unsigned& frame_count,
                  StackSearch& stack);

}  // namespace selfheal::runtime
