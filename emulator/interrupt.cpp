#include "emulator/interrupt.h"

#include "emulator/generated_code.h"
#include "emulator/machine.h"

extern "C" {
void selfheal_guest_syscall_begin();
void selfheal_guest_syscall_end();
void selfheal_guest_syscall_interrupted();
}

namespace selfheal::emulator {

Interrupted what_was_interrupted(const Thread& t, const ucontext_t& c) {
  const u64 rip = static_cast<u64>(c.uc_mcontext.gregs[REG_RIP]);
  if (rip >= trampolines().leave && rip < trampolines().leave_end && !t.signal_waits) {
    return Interrupted::leaving;
  }
  switch (t.state) {
    case ThreadState::absent:
    case ThreadState::idle:
      return Interrupted::application;
    case ThreadState::suspended:
      return rip == trampolines().resume ? Interrupted::engine : Interrupted::application;
    case ThreadState::busy:
    case ThreadState::running:
      return Interrupted::engine;
    case ThreadState::native:
      break;
  }
  return Interrupted::native_call;
}

namespace {

void put_off_system_call(ucontext_t& c) {
  greg_t& rip = c.uc_mcontext.gregs[REG_RIP];
  if (rip >= reinterpret_cast<greg_t>(&selfheal_guest_syscall_begin) &&
      rip < reinterpret_cast<greg_t>(&selfheal_guest_syscall_end)) {
    rip = reinterpret_cast<greg_t>(&selfheal_guest_syscall_interrupted);
  }
}

}  // namespace

void stop_for_signal(Thread& t, ucontext_t& c) {
  t.signal_waits = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  machine_of(t).budget = 0;
  put_off_system_call(c);
}

void stop_for_budget(Thread& t, ucontext_t& c) {
  t.over_budget = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  machine_of(t).budget = 0;
  put_off_system_call(c);
}

void stop_for_time(Thread& t, ucontext_t& c) {
  t.time_is_up = true;
  put_off_system_call(c);
}

}  // namespace selfheal::emulator
