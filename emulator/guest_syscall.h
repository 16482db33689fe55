// A system call of the guest's: see guest_syscall.S.
#pragma once

#include "lib/base/types.h"

// registers: rax rdi rsi rdx r10 r8 r9
extern "C" long selfheal_guest_syscall(const selfheal::u64* registers, const bool* signal_waits);

namespace selfheal::emulator {

// Its result when a signal has to be delivered first: ERESTARTSYS, which the kernel shows nobody.
inline constexpr long not_performed = -512;

}  // namespace selfheal::emulator
