// The guest's system calls, each with its effect in the undo log.
//
// A row of syscall_table.inc says what a call does to the world:
//   pure         nothing that outlives it, or nothing anybody could miss
//   fills        writes to the guest's buffers: their old bytes are kept first
//   creates      a descriptor or a mapping: closed or unmapped at rollback
//   releases     (close, munmap): held back until commit
//   restores     changes state of the process that can be read before: put back at rollback
//   irrevocable  done, counted and named in the report
//   leave        not from inside a region, or not made here (clone.h)
//
// A buffer the guest passes may be bad or longer than what is mapped: then the kernel says EFAULT
// or writes less, as always; keeping its old bytes stops at the first page that cannot be read. No
// system call is made that the guest did not make, but where may_call() (actions.h) allows it.
#pragma once

#include "emulator/effect_result.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// The guest stands at a `syscall` instruction: number in rax, arguments in rdi rsi rdx r10 r8 r9.
// `done`: rax holds the result (the interpreter sets rcx, r11 and rip). The thread's state is
// `native` while the kernel has it: a signal handler that runs then is not guest code.
EffectResult run_syscall(Thread& thread);

// Mapped there by the kernel: three functions, 1 KiB apart, which it emulates when they are called.
// The page can be executed, but not read.
inline constexpr u64 vsyscall_page = 0xffff'ffff'ff60'0000;
constexpr bool is_vsyscall(u64 rip) {
  return rip == vsyscall_page || rip == vsyscall_page + 0x400 || rip == vsyscall_page + 0x800;
}

// The guest stands at one of them. `unsupported`: it faults (a bad pointer, or the system has no
// such page).
EffectResult run_vsyscall(Thread& thread);

// May it block until somebody else does something?
bool may_wait(u64 number);

// Name of a system call, "unknown" for a number without a row.
const char* syscall_name(u64 number);

}  // namespace selfheal::emulator
