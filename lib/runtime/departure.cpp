#include "lib/runtime/departure.h"

#include <atomic>
#include <dlfcn.h>
#include <errno.h>
#include <unwind.h>

#include "lib/recover/clean_up.h"
#include "lib/recover/image_view.h"
#include "lib/runtime/definitions.h"

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

struct Departure {
  _Unwind_Exception exception;
  std::atomic<bool> taken;
  unsigned count;
  unsigned next;
  Landing landings[32];
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

// Called by the unwinder instead of looking at the next frame.
_Unwind_Reason_Code on_next(int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception*,
                            _Unwind_Context*, void* argument) {
  auto& departure = *static_cast<Departure*>(argument);
  if (departure.next < departure.count) {
    selfheal_land(&departure.landings[departure.next++], address_of(&departure.exception), 0);
  }
  const Landing caller = departure.caller;
  const u64 value = departure.value;
  if (departure.error_number != 0) {
    errno = departure.error_number;
  }
  give_back();
  selfheal_land(&caller, value, 0);
}

void plan(Departure& departure, std::span<const Frame> frames) {
  constexpr unsigned most = sizeof departure.landings / sizeof departure.landings[0];
  departure.count = departure.next = 0;
  for (const Frame& frame : frames) {
    recover::LandingPad pad{};
    if (departure.count < most && (frame.known & callee_saved) == callee_saved &&
        recover::find_landing_pad(frame, personalities, recover::live_image(), pad)) {
      departure.landings[departure.count++] = landing_at(frame.registers, pad.address, pad.sp);
    }
  }
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

}  // namespace

void find_personalities() {
  const char* const names[] = {"__gxx_personality_v0", "__gcc_personality_v0"};
  unsigned count = 0;
  for (const char* name : names) {
    personalities.routines[count++] = find_definition(name);
    personalities.routines[count++] = address_of(dlsym(RTLD_DEFAULT, name));
  }
}

void go_on_at(const Frame& frame, u64 value, int error_number, probes::SignalContext& signal) {
  set(*signal.context, landing_at(frame.registers, frame.registers.rip, frame.registers.gpr[rsp]),
      value, 0);
  if (error_number != 0) {
    signal.error_number = error_number;
  }
}

unsigned depart(std::span<const Frame> frames, u64 value, int error_number,
                probes::SignalContext& signal) {
  const Frame& caller = frames.back();
  Departure* departure = take();
  if (departure != nullptr) {
    plan(*departure, frames.first(frames.size() - 1));
  }
  if (departure == nullptr || departure->count == 0) {
    if (departure != nullptr) {
      departure->taken.store(false);
    }
    go_on_at(caller, value, error_number, signal);
    return 0;
  }
  own = departure;
  departure->caller = landing_at(caller.registers, caller.registers.rip, caller.registers.gpr[rsp]);
  departure->value = value;
  departure->error_number = error_number;
  departure->exception = {};
  departure->exception.exception_class = exception_class;
  departure->exception.private_1 = address_of_function(&on_next);
  departure->exception.private_2 = address_of(departure);
  departure->next = 1;
  set(*signal.context, departure->landings[0], address_of(&departure->exception), 0);
  return departure->count;
}

}  // namespace selfheal::runtime
