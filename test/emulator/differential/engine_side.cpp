// Compiled like the engine: the snippet's vector registers are live in here.
#include "test/emulator/differential/engine_side.h"

#include "test/emulator/host.h"

namespace selfheal::differential {
namespace {

using emulator::Stop;
using emulator::Thread;

struct Request {
  State* state;
  u64 frame_size;
  EngineRun* run;
};
constinit Request request{};

// A snippet that pops or sets its stack pointer leaves the region, and is taken in again: what the
// engine says at such an edge is part of what is compared.
constexpr unsigned most_activations = 64;

void run_activations(Thread& t, EngineRun& run, u64 frame_size) {
  run.stack_top = 0;
  run.instructions = 0;
  for (unsigned i = 0; i < most_activations; ++i) {
    const u64 sp = t.guest.gpr[rsp];
    t.entry_sp = sp + frame_size > sp ? sp + frame_size : sp;
    t.return_address = 0;
    run.stack_top = t.entry_sp > run.stack_top ? t.entry_sp : run.stack_top;
    const emulator::Outcome outcome = emulator::run(t);
    run.stop = outcome.stop;
    run.reason = outcome.reason;
    run.instructions += outcome.instructions;
    if (outcome.stop != Stop::left || t.guest.rip - code_base >= code_size) {
      return;
    }
  }
}

// By words: a call of memcpy would use the snippet's vector registers.
void copy_words(u64* to, const u64* from, u64 bytes) {
  u64 words = bytes / 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

void body(Thread& t) {
  State& s = *request.state;
  Registers caller;
  copy_registers(caller, t.guest);
  asm volatile("xrstor64 (%0)" : : "r"(s.vectors), "a"(vector_components), "d"(0) : "memory");
  copy_words(t.guest.gpr, s.gpr, sizeof s.gpr);
  t.guest.rflags = s.rflags;
  t.guest.rip = s.rip;
  run_activations(t, *request.run, request.frame_size);
  asm volatile("xsave64 (%0)" : : "r"(s.vectors), "a"(vector_components), "d"(0) : "memory");
  asm volatile("fnstenv %0" : "=m"(request.run->x87_environment));
  const u32 mxcsr = 0x1f80;
  asm volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
  copy_words(s.gpr, t.guest.gpr, sizeof s.gpr);
  s.rflags = t.guest.rflags;
  s.rip = t.guest.rip;
  copy_words(reinterpret_cast<u64*>(&request.run->fault), reinterpret_cast<const u64*>(&t.fault),
             sizeof(Fault));
  copy_registers(t.guest, caller);
  t.guest.rip = *pointer_to<const u64>(caller.gpr[rsp]);
  t.guest.gpr[rsp] += 8;
}

}  // namespace

void run_in_engine(State& state, u64 frame_size, EngineRun& run) {
  request = {&state, frame_size, &run};
  emulator::host::session.body = body;
  emulator::host::selfheal_test_entry();
  emulator::host::session.body = nullptr;
}

}  // namespace selfheal::differential
