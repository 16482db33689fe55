// Signal frames in memory, as the kernel writes them (see entry.S for the picture), and copies of
// them elsewhere.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "lib/base/types.h"
#include "probes/hooks.h"

namespace selfheal::probes {

struct Frame {
  u64 return_address;
  u8 context_bytes[304];  // the kernel's ucontext: the front of libc's longer ucontext_t
  siginfo_t info;

  // Only members that lie in the front may be used: everything up to the mask's first word.
  ucontext_t* context() { return reinterpret_cast<ucontext_t*>(context_bytes); }

  static Frame* of(const SignalContext& signal) {
    return pointer_to<Frame>(address_of(signal.context) - offsetof(Frame, context_bytes));
  }
};

static_assert(sizeof(Frame) == 440);
static_assert(offsetof(Frame, info) == 312);
static_assert(offsetof(ucontext_t, uc_sigmask) + 8 == 304);

inline constexpr u64 red_zone = 128;

inline u64 stack_pointer(const ucontext_t* context) {
  return static_cast<u64>(context->uc_mcontext.gregs[REG_RSP]);
}

// Where a copy of the frame with its vector registers goes below `top`, as the kernel would place
// it. Writes nothing.
u64 frame_address_below(u64 top, const Frame* frame);

// Makes that copy. Faults when the memory below `top` is not there.
Frame* copy_frame_below(u64 top, const Frame* frame);

// The same where the kernel would place a handler's frame for this thread, interrupted with that
// stack pointer. Null: no room; the kernel ends the process then.
Frame* place_handler_frame(const Frame& from, u64 stack_pointer, bool alternate_stack);

// Lowest address of the application's alternate stack if `address` is on it; 0: it is not.
u64 alternate_stack_base(u64 address);

}  // namespace selfheal::probes
