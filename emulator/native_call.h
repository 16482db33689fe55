// Runs a C function for the guest on the engine's stack, with the guest's arguments.
#pragma once

#include "emulator/thread.h"

namespace selfheal::emulator {

// The guest stands at the first instruction of a function (guest.rsp points at a return address).
// Calls `function` with the guest's rdi rsi rdx rcx r8 r9 rax and a copy of the first eight stack
// arguments; its rax and rdx become the guest's. Vector registers are live both ways. Thread state
// is `native` meanwhile, so a fault inside is not taken for the guest's. Does not move guest.rip or
// guest.rsp: the interpreter performs the return.
void native_call(Thread& thread, u64 function);

}  // namespace selfheal::emulator
