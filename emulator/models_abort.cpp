// What ends the process by SIGABRT is foreseen at the entry of the function that would do it:
//
//      guest: call abort ──► Stop::fault, kind abort     nothing is printed, no signal is raised,
//      guest: call __memcpy_chk ─(interpreted)─►         no lock of libc's is held
//             __chk_fail ──► Stop::fault, kind fortify
//
// Where it is not healed, the engine leaves right there and the processor runs the function: libc
// says what it says and the process dies as ever. libc calls its own functions directly, so its
// definitions are modelled as well as those that stand in front of them (models.cpp).
#include <signal.h>

#include "emulator/models_internal.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

EffectResult foresee(Thread& thread, FaultKind kind, u64 site) {
  clear_fault(thread.fault);
  thread.fault.kind = kind;
  copy_registers(thread.fault.registers, thread.guest);
  thread.fault.registers.rip = site;
  return EffectResult::fault;
}

namespace {

// The guest stands at the function's entry: its site is the call, which the return address follows.
EffectResult foresee_call(Thread& thread, FaultKind kind) {
  const u64 return_address = *pointer_to<const u64>(thread.guest.gpr[rsp]);
  return foresee(thread, kind, return_address - 1);
}

bool begins_with(const char* text, const char* with) {
  while (*with != '\0' && *text == *with) {
    ++text;
    ++with;
  }
  return *with == '\0';
}

}  // namespace

EffectResult model_abort(Thread& thread) {
  return foresee_call(thread, FaultKind::abort);
}

EffectResult model_assertion(Thread& thread) {
  return foresee_call(thread, FaultKind::assertion);
}

EffectResult model_terminate(Thread& thread) {
  return foresee_call(thread, FaultKind::terminate);
}

EffectResult model_smashed_stack(Thread& thread) {
  return foresee_call(thread, FaultKind::smashed_stack);
}

EffectResult model_fortify(Thread& thread) {
  return foresee_call(thread, FaultKind::fortify);
}

// __fortify_fail("buffer overflow detected"), and for the canary with another text.
EffectResult model_fortify_text(Thread& thread) {
  const auto* text = pointer_to<const char>(argument(thread, 0));
  return foresee_call(
      thread, begins_with(text, "stack smashing") ? FaultKind::smashed_stack : FaultKind::fortify);
}

// __libc_fatal(text): printf found a %n in a writable format; or libc itself is in trouble.
EffectResult model_libc_fatal(Thread& thread) {
  const auto* text = pointer_to<const char>(argument(thread, 0));
  return foresee_call(thread, begins_with(text, "*** %n") || begins_with(text, "*** invalid %N$")
                                  ? FaultKind::fortify
                                  : FaultKind::abort);
}

EffectResult model_raise(Thread& thread) {
  return static_cast<u32>(argument(thread, 0)) == SIGABRT && dies_of_abort()
             ? foresee_call(thread, FaultKind::abort)
             : EffectResult::interpret;
}

}  // namespace selfheal::emulator
