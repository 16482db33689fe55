#include "lib/runtime/signals.h"

#include <sys/auxv.h>

#include "emulator/engine.h"
#include "emulator/interrupt.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/signal_area.h"
#include "probes/asynchronous.h"
#include "probes/frame.h"
#include "probes/kernel.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

using emulator::Interrupted;
using emulator::this_thread;
using emulator::Thread;
using emulator::ThreadState;
using probes::Arrival;
using probes::Frame;

// Order of the kernel's registers that are the guest's (mcontext_t).
constexpr struct {
  int kernel;
  u8 guest;
} order[] = {{REG_RAX, rax}, {REG_RCX, rcx}, {REG_RDX, rdx}, {REG_RBX, rbx},
             {REG_RSP, rsp}, {REG_RBP, rbp}, {REG_RSI, rsi}, {REG_RDI, rdi},
             {REG_R8, r8},   {REG_R9, r9},   {REG_R10, r10}, {REG_R11, r11},
             {REG_R12, r12}, {REG_R13, r13}, {REG_R14, r14}, {REG_R15, r15}};

void show(ucontext_t& context, const Registers& guest) {
  greg_t* registers = context.uc_mcontext.gregs;
  for (const auto& [kernel, index] : order) {
    registers[kernel] = static_cast<greg_t>(guest.gpr[index]);
  }
  registers[REG_RIP] = static_cast<greg_t>(guest.rip);
  registers[REG_EFL] = static_cast<greg_t>(guest.rflags);
}

void take_over(Registers& guest, const ucontext_t& context) {
  const greg_t* registers = context.uc_mcontext.gregs;
  for (const auto& [kernel, index] : order) {
    guest.gpr[index] = static_cast<u64>(registers[kernel]);
  }
  guest.rip = static_cast<u64>(registers[REG_RIP]);
  guest.rflags = static_cast<u64>(registers[REG_EFL]);
}

bool same(const Registers& a, const Registers& b) {
  bool equal = a.rip == b.rip && a.rflags == b.rflags;
  for (unsigned i = 0; i < gpr_count; ++i) {
    equal = equal && a.gpr[i] == b.gpr[i];
  }
  return equal;
}

// The handler will run above `frame`. How far down its stack reaches is known for an alternate
// stack; for others a bound does.
void suspend(Thread& thread, Frame& frame, Frame* native) {
  constexpr u64 usual_stack = 8 << 20;
  const u64 at = address_of(&frame);
  const u64 alternate = probes::alternate_stack_base(at);
  thread.suspension.low = alternate != 0 ? alternate : at - usual_stack;
  thread.suspension.span = at - thread.suspension.low;
  signal_area_of(thread).native = native;
  signal_area_of(thread).presented = thread.guest;
  frame.return_address = probes::kept_handler_return();
  set_entry(Entry::suspended);
  thread.state = ThreadState::suspended;
}

// The engine is at work. False: another signal already waits, one of those that nothing blocks.
bool keep(Thread& thread, const Arrival& arrival) {
  if (thread.signal_waits) {
    return false;
  }
  SignalArea& area = signal_area_of(thread);
  area.signal = arrival.signal;
  area.handler = arrival.handler;
  area.alternate_stack = arrival.alternate_stack;
  area.fatal = arrival.fatal;
  area.mask = probes::current_mask();
  area.frame = probes::copy_frame_below(thread.signal_area + signal_area_size(), arrival.frame);
  area.vectors = address_of(area.frame->context()->uc_mcontext.fpregs);
  ucontext_t& context = *arrival.frame->context();
  emulator::stop_for_signal(thread, context);
  probes::mask_word(context.uc_sigmask) = probes::all_but_urgent_signals();
  return true;
}

bool on_engine_stack(const Thread& thread, u64 address) {
  return address - thread.memory < thread.stack_top - thread.memory;
}

// A library's code waits, or works, for the guest. On the guest's own stack everything is as
// without us, also what lies between that code and the guest to an unwinder (guard.cpp), so the
// handler gets the kernel's frame. On the engine's stack it is shown the guest at that function's
// entry, in a frame that is moved to the guest's stack unless the kernel put it on an alternate
// one.
Frame* run_above_native_call(Thread& thread, const Arrival& arrival) {
  Frame* frame = arrival.frame;
  Frame* native = frame;
  const u64 interrupted_sp = static_cast<u64>(frame->context()->uc_mcontext.gregs[REG_RSP]);
  if (on_engine_stack(thread, interrupted_sp)) {
    if (on_engine_stack(thread, address_of(frame))) {
      frame = probes::place_handler_frame(*frame, thread.guest.gpr[rsp], arrival.alternate_stack);
      if (frame == nullptr) {
        return arrival.frame;
      }
    } else {
      native = probes::copy_frame_below(thread.signal_area + signal_area_size(), frame);
    }
    show(*frame->context(), thread.guest);
  }
  suspend(thread, *frame, native);
  return frame;
}

// The guest is on its way out and complete: the handler runs as if it were there already.
Frame* run_outside(Thread& thread, const Arrival& arrival) {
  Frame* frame = arrival.frame;
  if (!arrival.fatal) {  // those run on a stack of their own
    frame = probes::place_handler_frame(*frame, thread.guest.gpr[rsp], arrival.alternate_stack);
    if (frame == nullptr) {
      return arrival.frame;
    }
  }
  show(*frame->context(), thread.guest);
  thread.state = ThreadState::idle;
  return frame;
}

// No room for the frame on the guest's stack: the kernel shall find that out, and do what it does.
[[noreturn]] void let_kernel_deliver(Thread& thread, SignalArea& area) {
  thread.log.commit();
  set_entry(Entry::open);
  thread.state = ThreadState::idle;
  probes::queue_to_self(area.signal, area.frame->info);
  show(*area.frame->context(), thread.guest);
  probes::return_to(*area.frame->context());
}

// A call of a region that has not reached the engine is taken back to the region's entry, for the
// handler to see, and to be made anew.
void undo_entering(ucontext_t& context) {
  greg_t* registers = context.uc_mcontext.gregs;
  const u64 rip = static_cast<u64>(registers[REG_RIP]);
  patch::Patcher::Entering entering = runtime.patcher.entering(rip);
  if (rip == emulator::enter_trampoline()) {
    const u32 index = *pointer_to<const u32>(static_cast<u64>(registers[REG_RSP]));
    entering = {runtime.patcher.plan(index).at, sizeof(u64)};
  }
  if (entering.at != 0) {
    registers[REG_RIP] = static_cast<greg_t>(entering.at);
    registers[REG_RSP] += static_cast<greg_t>(entering.pushed);
  }
}

}  // namespace

u64 signal_area_size() {
  static u64 size = 0;
  if (size == 0) {
    constexpr u64 alignment_loss = 256;
    const u64 frame = getauxval(AT_MINSIGSTKSZ);
    size =
        (sizeof(SignalArea) + alignment_loss + (frame != 0 ? frame : u64{16384}) + 63) & ~u64{63};
  }
  return size;
}

Frame* on_thread_signal(const Arrival& arrival) {
  Thread& thread = this_thread;
  if (thread.state == ThreadState::absent || !probes::allowed(probes::Call::rt_sigreturn)) {
    return arrival.frame;
  }
  switch (emulator::what_was_interrupted(thread, *arrival.frame->context())) {
    case Interrupted::application:
      undo_entering(*arrival.frame->context());
      break;
    case Interrupted::engine:
      return keep(thread, arrival) ? nullptr : arrival.frame;
    case Interrupted::native_call:
      return arrival.fatal ? arrival.frame : run_above_native_call(thread, arrival);
    case Interrupted::leaving:
      return run_outside(thread, arrival);
  }
  return arrival.frame;
}

void run_kept_handler(Thread& thread, bool come_back) {
  SignalArea& area = signal_area_of(thread);
  thread.signal_waits = false;
  Frame* frame =
      probes::place_handler_frame(*area.frame, thread.guest.gpr[rsp], area.alternate_stack);
  if (frame == nullptr) {
    let_kernel_deliver(thread, area);
  }
  show(*frame->context(), thread.guest);
  if (come_back) {
    suspend(thread, *frame, nullptr);
  } else {
    set_entry(Entry::open);
    thread.state = ThreadState::idle;
  }
  probes::start_handler(*frame, area.signal, area.handler, area.mask);
}

// A native call goes on where it was interrupted, unless the handler wanted something else.
ucontext_t* on_handler_returned(ucontext_t* context) {
  Thread& thread = this_thread;
  SignalArea& area = signal_area_of(thread);
  Registers guest = thread.guest;
  take_over(guest, *context);
  set_entry(Entry::closed);
  ucontext_t* native = area.native != nullptr ? area.native->context() : nullptr;
  if (native != nullptr && (native == context || same(guest, area.presented))) {
    probes::mask_word(native->uc_sigmask) = probes::mask_word(context->uc_sigmask);
    thread.suspension = {};
    thread.state = ThreadState::native;
    return native;
  }
  thread.guest = guest;
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(emulator::resume_trampoline());
  context->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(thread.stack_top);
  return context;
}

// malloc's lock may be held by the native call that was interrupted: then what was held back until
// commit, free() above all, has to wait for the thread's next region.
void on_stack_left(u64 stack_pointer) {
  Thread& thread = this_thread;
  if (thread.state != ThreadState::suspended ||
      stack_pointer - thread.suspension.low < thread.suspension.span) {
    return;
  }
  if (signal_area_of(thread).native == nullptr) {
    end_abandoned(thread);
  }
  thread.state = ThreadState::idle;
  set_entry(Entry::open);
}

}  // namespace selfheal::runtime
