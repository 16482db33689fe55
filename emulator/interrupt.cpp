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

void stop_for_signal(Thread& t, ucontext_t& c) {
  t.signal_waits = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  machine_of(t).budget = 0;
  greg_t& rip = c.uc_mcontext.gregs[REG_RIP];
  if (rip >= reinterpret_cast<greg_t>(&selfheal_guest_syscall_begin) &&
      rip < reinterpret_cast<greg_t>(&selfheal_guest_syscall_end)) {
    rip = reinterpret_cast<greg_t>(&selfheal_guest_syscall_interrupted);
  }
}

}  // namespace selfheal::emulator
