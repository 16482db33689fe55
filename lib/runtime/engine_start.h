// Bringing the engine up in this process: once, as soon as there is a region to run.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// True when the engine runs here (starts it at the first call). Only under runtime.changing or in
// the constructor. False: this process records, but does not heal.
bool start_engine();

// Engine memory for the calling thread, by the options' log size.
bool attach_engine_memory();

// In a fork child.
void engine_after_fork();

}  // namespace selfheal::runtime
