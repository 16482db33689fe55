// The register file of a signal's ucontext, or of getcontext; and the stack it is on.
#pragma once

#include <pthread.h>
#include <ucontext.h>

#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal::test {

// Where the calling thread's stack begins.
inline u64 stack_top() {
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  void* low = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  return address_of(low) + size;
}

inline Registers registers_of(const ucontext_t& context) {
  const auto& gregs = context.uc_mcontext.gregs;
  const auto get = [&gregs](int number) { return static_cast<u64>(gregs[number]); };
  Registers registers{};
  registers.gpr[rax] = get(REG_RAX);
  registers.gpr[rcx] = get(REG_RCX);
  registers.gpr[rdx] = get(REG_RDX);
  registers.gpr[rbx] = get(REG_RBX);
  registers.gpr[rsp] = get(REG_RSP);
  registers.gpr[rbp] = get(REG_RBP);
  registers.gpr[rsi] = get(REG_RSI);
  registers.gpr[rdi] = get(REG_RDI);
  for (int i = 0; i < 8; ++i) {
    registers.gpr[r8 + i] = get(REG_R8 + i);
  }
  registers.rip = get(REG_RIP);
  registers.rflags = get(REG_EFL);
  return registers;
}

}  // namespace selfheal::test
