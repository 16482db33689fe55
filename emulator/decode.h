// From code bytes to a Block. Runs with the guest's vector registers saved and the block lock held.
#pragma once

#include "emulator/changing_code.h"

namespace selfheal::emulator {

bool start_decoder();

// What is known of code that may change, should it be such code.
struct History {
  const ChangingCode* older;  // its other forms
  u64 generation;             // of all code
};

// Decodes the block at `rip`. nullptr: it must run natively, `reason` says why.
Block* decode_block(Machine& m, u64 rip, const History& history, const char*& reason);

}  // namespace selfheal::emulator
