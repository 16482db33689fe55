// From code bytes to a Block. Runs with the guest's vector registers saved and the block lock held.
#pragma once

#include "emulator/machine.h"

namespace selfheal::emulator {

bool start_decoder();

// Decodes the block at `rip`. nullptr: it must run natively, `reason` says why.
const Block* decode_block(Machine& m, u64 rip, const char*& reason);

}  // namespace selfheal::emulator
