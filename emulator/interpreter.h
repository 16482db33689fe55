// What the engine's own files share of its set-up.
#pragma once

#include "emulator/engine.h"

namespace selfheal::emulator {

const Config& config();
u64 run_address();  // of the runtime's function that the enter trampoline calls

}  // namespace selfheal::emulator
