// What the engine's own files share of its set-up.
#pragma once

#include "emulator/engine.h"

namespace selfheal::emulator {

const Config& config();

}  // namespace selfheal::emulator
