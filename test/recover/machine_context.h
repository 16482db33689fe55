// The register file of a signal's ucontext, or of getcontext.
#pragma once

#include <ucontext.h>

#include "lib/base/registers.h"

namespace selfheal::test {

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
