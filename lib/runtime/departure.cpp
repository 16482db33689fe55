#include "lib/runtime/departure.h"

#include <atomic>
#include <dlfcn.h>
#include <errno.h>
#include <iterator>
#include <unwind.h>

#include "lib/recover/clean_up.h"
#include "lib/recover/image_view.h"
#include "lib/runtime/cleanup_handlers.h"
#include "lib/runtime/definitions.h"
#include "lib/runtime/held_locks.h"

namespace selfheal::runtime {

using recover::callee_saved;
using recover::Frame;

// Read by departure.S.
struct Landing {
  u64 rip, rsp, rbx, rbp, r12, r13, r14, r15;
};

extern "C" {
// Goes on at `landing`, with these in rax and rdx.
[[noreturn]] __attribute__((visibility("hidden"))) void selfheal_land(const Landing* landing,
                                                                      u64 rax_value, u64 rdx_value);
}

namespace {

// A clean-up to land at: a pad, which is handed the exception, or a buffer.
struct Step {
  Landing landing;
  u64 buffer;  // 0: a pad
};

struct Departure {
  _Unwind_Exception exception;
  std::atomic<bool> taken;
  unsigned count;
  unsigned next;
  Step steps[32];
  u64 locks[8];  // to be released at the end, if no clean-up has
  unsigned lock_count;
  Landing caller;
  u64 value;
  int error_number;
};

// A first fault is rare; more threads than these at once leave without cleaning up.
constinit Departure departures[8]{};
constinit thread_local Departure* own = nullptr;
constinit recover::Personalities personalities{};

// "SLFHEAL": nobody catches what it does not know.
constexpr u64 exception_class = 0x4c41'4548'464c'5300;

void give_back() {
  if (own != nullptr) {
    own->taken.store(false);
    own = nullptr;
  }
}

// A departure of this thread's that a fault in a clean-up has cut short is over.
Departure* take() {
  give_back();
  for (Departure& departure : departures) {
    if (!departure.taken.exchange(true)) {
      return &departure;
    }
  }
  return nullptr;
}

Landing landing_at(const Registers& registers, u64 rip, u64 sp) {
  const u64* gpr = registers.gpr;
  return {rip, sp, gpr[rbx], gpr[rbp], gpr[r12], gpr[r13], gpr[r14], gpr[r15]};
}

u64 rax_at(const Departure& departure, const Step& step) {
  return step.buffer != 0 ? 1 : address_of(&departure.exception);
}

// On a stack that is still in use: that of the clean-up before, or below the caller's.
[[noreturn]] void finish() {
  Departure& departure = *own;
  const Landing caller = departure.caller;
  const u64 value = departure.value;
  const int error_number = departure.error_number;
  for (unsigned i = 0; i < departure.lock_count; ++i) {
    release_lock(departure.locks[i]);
  }
  for (u64 buffer = first_cleanup_buffer(); buffer != 0 && buffer < caller.rsp;
       buffer = first_cleanup_buffer()) {
    drop_cleanup_buffer(buffer);
  }
  give_back();
  if (error_number != 0) {
    errno = error_number;
  }
  selfheal_land(&caller, value, 0);
}

[[noreturn]] void go_on(Departure& departure) {
  if (departure.next == departure.count) {
    finish();
  }
  const Step& step = departure.steps[departure.next++];
  selfheal_land(&step.landing, rax_at(departure, step), 0);
}

// Called by the unwinder instead of looking at the next frame.
_Unwind_Reason_Code on_pad_done(int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception*,
                                _Unwind_Context*, void* argument) {
  go_on(*static_cast<Departure*>(argument));
}

// False: a handler that libc has called.
bool on_handler_done(u64 buffer) {
  if (own == nullptr || own->next == 0 || own->steps[own->next - 1].buffer != buffer) {
    return false;
  }
  drop_cleanup_buffer(buffer);
  go_on(*own);
}

bool has_place(const Departure& departure) {
  return departure.count < std::size(departure.steps);
}

void plan_pad(Departure& departure, const Frame& frame) {
  recover::LandingPad pad{};
  if (has_place(departure) && (frame.known & callee_saved) == callee_saved &&
      recover::find_landing_pad(frame, personalities, recover::live_image(), pad)) {
    departure.steps[departure.count++] = {landing_at(frame.registers, pad.address, pad.sp), 0};
  }
}

// Those that lie in the frame, whose caller's stack pointer is `end`. The first one behind them.
u64 plan_handlers(Departure& departure, u64 buffer, u64 end) {
  for (; buffer != 0 && buffer < end; buffer = cleanup_buffer_behind(buffer)) {
    if (has_place(departure)) {
      const Registers target = cleanup_target(buffer);
      departure.steps[departure.count++] = {landing_at(target, target.rip, target.gpr[rsp]),
                                            buffer};
    }
  }
  return buffer;
}

void plan(Departure& departure, std::span<const Frame> frames, bool room) {
  departure.count = departure.next = 0;
  u64 buffer = first_cleanup_buffer();
  for (unsigned i = 0; room && i + 1 < frames.size(); ++i) {
    plan_pad(departure, frames[i]);
    buffer = plan_handlers(departure, buffer, frames[i + 1].registers.gpr[rsp]);
  }
  departure.lock_count = locks_held_by(frames, departure.locks);
}

void set(ucontext_t& context, const Landing& landing, u64 rax_value, u64 rdx_value) {
  constexpr greg_t direction_flag = 1 << 10;
  greg_t* registers = context.uc_mcontext.gregs;
  const auto put = [&](int slot, u64 value) { registers[slot] = static_cast<greg_t>(value); };
  put(REG_RIP, landing.rip);
  put(REG_RSP, landing.rsp);
  put(REG_RBX, landing.rbx);
  put(REG_RBP, landing.rbp);
  put(REG_R12, landing.r12);
  put(REG_R13, landing.r13);
  put(REG_R14, landing.r14);
  put(REG_R15, landing.r15);
  put(REG_RAX, rax_value);
  put(REG_RDX, rdx_value);
  registers[REG_EFL] &= ~direction_flag;
}

// Of a function that is jumped to: as if it had been called, right below the surviving frame.
Landing landing_in_finish(const Landing& caller) {
  constexpr u64 red_zone = 128;
  const u64 top = (caller.rsp - red_zone) & ~u64{15};
  return {address_of_function(&finish), top - sizeof(u64), 0, 0, 0, 0, 0, 0};
}

}  // namespace

void prepare_departures() {
  const char* const names[] = {"__gxx_personality_v0", "__gcc_personality_v0"};
  unsigned count = 0;
  for (const char* name : names) {
    personalities.routines[count++] = find_definition(name);
    personalities.routines[count++] = address_of(dlsym(RTLD_DEFAULT, name));
  }
  watch_locks();
  watch_cleanup_handlers(&on_handler_done);
}

unsigned depart(std::span<const Frame> frames, bool room, u64 value, int error_number,
                probes::SignalContext& signal) {
  const Registers& registers = frames.back().registers;
  const Landing caller = landing_at(registers, registers.rip, registers.gpr[rsp]);
  Departure* const departure = take();
  if (departure == nullptr) {
    set(*signal.context, caller, value, 0);
    signal.error_number = error_number != 0 ? error_number : signal.error_number;
    return 0;
  }
  plan(*departure, frames, room);
  own = departure;
  departure->caller = caller;
  departure->value = value;
  departure->error_number = error_number;
  departure->exception = {};
  departure->exception.exception_class = exception_class;
  departure->exception.private_1 = address_of_function(&on_pad_done);
  departure->exception.private_2 = address_of(departure);
  if (departure->count == 0) {
    set(*signal.context, landing_in_finish(caller), 0, 0);
  } else {
    const Step& first = departure->steps[departure->next++];
    set(*signal.context, first.landing, rax_at(*departure, first), 0);
  }
  return departure->count + departure->lock_count;
}

}  // namespace selfheal::runtime
