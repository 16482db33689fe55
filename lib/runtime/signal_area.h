// What a thread keeps of a signal that found it in the engine: at Thread::signal_area.
#pragma once

#include "emulator/thread.h"
#include "probes/frame.h"

namespace selfheal::runtime {

// A copy of the kernel's frame ends where the area does.
struct SignalArea {
  // The signal that waits.
  int signal;
  bool alternate_stack;  // its handler asked for it
  bool fatal;            // one of the probes' own: its handler runs outside of the engine
  u64 handler;
  u64 mask;     // for the handler
  u64 vectors;  // address of the frame's XSAVE area
  probes::Frame* frame;
  // Of the handler that runs above a suspended activation:
  probes::Frame* native;  // the kernel's, to go on with the native call it interrupted; or null
  Registers presented;    // the guest as the handler was shown it
};

inline SignalArea& signal_area_of(const emulator::Thread& thread) {
  return *pointer_to<SignalArea>(thread.signal_area);
}

}  // namespace selfheal::runtime
