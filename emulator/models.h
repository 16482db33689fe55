// Modelled library functions: their effect is made natively and logged in bulk or compensated.
#pragma once

#include "emulator/effect_result.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// The guest stands at the function's first instruction: arguments in guest.gpr by the C ABI.
using Model = EffectResult (*)(Thread&);

// The model of the function whose entry is `rip`, or nullptr. Called once, when a block is decoded.
Model find_model(u64 rip);

}  // namespace selfheal::emulator
