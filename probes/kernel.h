// The signal system calls, bare: libc's functions of the same name are ours.
#pragma once

#include <signal.h>
#include <unistd.h>

#include "lib/base/raw_syscall.h"
#include "probes/dispositions.h"
#include "probes/thread_state.h"

namespace selfheal::probes {

// Both as the kernel has it; either may be null.
inline bool kernel_sigaction(int signal, const Disposition* wanted, Disposition* before) {
  return !syscall_failed(raw_syscall(SYS_rt_sigaction, static_cast<u64>(signal), address_of(wanted),
                                     address_of(before), kernel_mask_size));
}

inline void set_kernel_default(int signal) {
  const Disposition plain{};
  kernel_sigaction(signal, &plain, nullptr);
}

inline u64 change_kernel_mask(int how, u64 mask) {
  u64 before = 0;
  raw_syscall(SYS_rt_sigprocmask, static_cast<u64>(how), address_of(&mask), address_of(&before),
              kernel_mask_size);
  return before;
}
inline void set_kernel_mask(u64 mask) {
  change_kernel_mask(SIG_SETMASK, mask);
}
inline u64 block_in_kernel(u64 bits) {
  return change_kernel_mask(SIG_BLOCK, bits);
}
inline u64 unblock_in_kernel(u64 bits) {
  return change_kernel_mask(SIG_UNBLOCK, bits);
}

inline bool queue_to_self(int signal, const siginfo_t& info) {
  return !syscall_failed(raw_syscall(
      SYS_rt_tgsigqueueinfo, static_cast<u64>(raw_syscall(SYS_getpid)),
      static_cast<u64>(raw_syscall(SYS_gettid)), static_cast<u64>(signal), address_of(&info)));
}

inline bool set_kernel_stack(const stack_t& stack, stack_t* before = nullptr) {
  return !syscall_failed(raw_syscall(SYS_sigaltstack, address_of(&stack), address_of(before)));
}

// Our alternate stack of this thread, as sigaltstack takes it.
inline stack_t own_stack_of(const Thread& thread) {
  if (thread.own_stack == 0) {
    return {nullptr, SS_DISABLE, 0};
  }
  return {pointer_to<void>(thread.own_stack), 0, alternate_stack_size};
}

}  // namespace selfheal::probes
