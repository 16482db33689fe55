#include "lib/runtime/fail_stop.h"

// A privileged instruction: #GP, without side effects, and again for whoever returns to it.
asm(R"(
  .pushsection .text
  .globl selfheal_fail_stop
  .hidden selfheal_fail_stop
  .type selfheal_fail_stop, @function
selfheal_fail_stop:
  .cfi_startproc
  .cfi_undefined rip
  hlt
  jmp selfheal_fail_stop
  .cfi_endproc
  .size selfheal_fail_stop, . - selfheal_fail_stop
  .popsection
)");

extern "C" __attribute__((visibility("hidden"))) void selfheal_fail_stop();

namespace selfheal::runtime {

u64 fail_stop_address() {
  return address_of_function(&selfheal_fail_stop);
}

Fault seen_by_engine(const Fault& fault) {
  if (fault.registers.rip != fail_stop_address()) {
    return fault;
  }
  Fault seen = emulator::this_thread.fault;
  seen.signal = fault.signal;
  seen.code = 0;  // as it is: nothing an instruction could tell makes it another kind
  return seen;
}

}  // namespace selfheal::runtime
