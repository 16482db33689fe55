// The engine's side: runs code from a full state and captures the state after it.
#pragma once

#include "emulator/engine.h"
#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

struct EngineRun {
  emulator::Stop stop;
  const char* reason;
  u64 instructions;
  Fault fault;
  u8 x87_environment[28];  // as fnstenv tells it
  u64 stack_top;           // below it, and above the stack pointer, stores were not logged
};

// Runs `state` to its end and leaves the log as it is then. The control registers of the floating
// point units are the default ones afterwards.
void run_in_engine(State& state, u64 frame_size, EngineRun& run);

}  // namespace selfheal::differential
