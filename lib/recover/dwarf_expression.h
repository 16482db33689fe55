// The DWARF expressions that call frame information uses: PLT stubs, signal frames, realigned
// stacks.
#pragma once

#include "lib/image/module.h"
#include "lib/recover/stack.h"

namespace selfheal::recover {

// Evaluates the length-prefixed expression at `address` in the module (DWARF 5, 2.5). `registers`
// are the frame's, by DWARF number; memory is only read inside `bounds`. `pushed` is on the stack
// at the start: the CFA for register rules, nothing for the CFA itself. False on anything unknown.
bool evaluate(const image::Module& module, u64 address, const u64* registers,
              const StackBounds& bounds, const u64* pushed, u64& result);

}  // namespace selfheal::recover
