// One look at a thread's stack: the activations on it (activations.h).
#pragma once

#include <span>

#include "lib/base/registers.h"
#include "lib/runtime/activations.h"

namespace selfheal::runtime {

// From the innermost outwards, as many as there is room for. Signal-safe; of a stack that cannot be
// read, nothing.
std::span<Activation> look_at_stack(const Registers& start, std::span<Activation> room);

}  // namespace selfheal::runtime
