// System calls made by the guest, by class (DESIGN.md, section 4, Engine).
#pragma once

#include "emulator/effect_result.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// The guest stands at a `syscall` instruction: number in rax, arguments in rdi rsi rdx r10 r8 r9.
// `done`: rax holds the result (the interpreter sets rcx, r11 and rip).
EffectResult run_syscall(Thread& thread);

}  // namespace selfheal::emulator
