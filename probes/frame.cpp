#include "probes/frame.h"

#include <string.h>

#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constexpr u32 xstate_magic1 = 0x46505853;  // FP_XSTATE_MAGIC1, asm/sigcontext.h
constexpr u64 magic1_offset = 464;
constexpr u64 extended_size_offset = 468;
constexpr u64 legacy_size = 512;

const u8* vector_state(const Frame* frame) {
  return reinterpret_cast<const u8*>(const_cast<Frame*>(frame)->context()->uc_mcontext.fpregs);
}

// With the xsave area's end marker, which rt_sigreturn looks for.
u64 vector_state_size(const Frame* frame) {
  const u8* state = vector_state(frame);
  if (state == nullptr) {
    return 0;
  }
  u32 magic;
  u32 extended_size;
  memcpy(&magic, state + magic1_offset, sizeof magic);
  memcpy(&extended_size, state + extended_size_offset, sizeof extended_size);
  return magic == xstate_magic1 ? extended_size : legacy_size;
}

struct Placement {
  u64 vectors;
  u64 frame;
};

// get_sigframe, arch/x86/kernel/signal.c: xsave area on 64 bytes, frame as after a call.
Placement place(u64 top, u64 vector_size) {
  const u64 vectors = (top - vector_size) & ~u64{63};
  return {vectors, ((vectors - sizeof(Frame)) & ~u64{15}) - 8};
}

}  // namespace

u64 frame_address_below(u64 top, const Frame* frame) {
  return place(top, vector_state_size(frame)).frame;
}

Frame* copy_frame_below(u64 top, const Frame* frame) {
  const u64 size = vector_state_size(frame);
  const Placement at = place(top, size);
  Frame* copy = pointer_to<Frame>(at.frame);
  // From the bottom up would leave a half-made frame on an overflowing stack just the same.
  memcpy(copy, frame, sizeof *copy);
  if (size != 0) {
    memcpy(pointer_to<u8>(at.vectors), vector_state(frame), size);
    copy->context()->uc_mcontext.fpregs = pointer_to<_libc_fpstate>(at.vectors);
  }
  return copy;
}

namespace {

struct CopyRequest {
  u64 top;
  const Frame* from;
  Frame* copy;
};

void copy_frame(void* argument) {
  auto& request = *static_cast<CopyRequest*>(argument);
  request.copy = copy_frame_below(request.top, request.from);
}

}  // namespace

u64 alternate_stack_base(u64 address) {
  const Thread& thread = this_thread();
  return thread.on_application_stack(address) ? address_of(thread.application_stack.ss_sp) : 0;
}

// get_sigframe: the alternate stack if asked for and not already on it; and a frame that would
// leave the alternate stack at its low end is refused.
Frame* place_handler_frame(const Frame& from, u64 stack_pointer, bool alternate_stack) {
  const Thread& thread = this_thread();
  CopyRequest request{stack_pointer - red_zone, &from, nullptr};
  bool alternate = thread.on_application_stack(stack_pointer);
  if (alternate_stack && !alternate && thread.has_application_stack()) {
    request.top = address_of(thread.application_stack.ss_sp) + thread.application_stack.ss_size;
    alternate = true;
  }
  if (alternate && !thread.on_application_stack(frame_address_below(request.top, &from))) {
    return nullptr;
  }
  return guarded(copy_frame, &request) ? request.copy : nullptr;
}

}  // namespace selfheal::probes
