// The processor's side: runs code from a full state and captures the state after it, or its fault.
#pragma once

#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

// Handlers for what a snippet may raise. After host::start.
void start_native_side();

// Runs result.state on the processor to its end or fault.
void run_native(Result& result);

// The same for code that may have no end. False: it had none, or not soon.
bool run_native_for_a_while(Result& result);

}  // namespace selfheal::differential
