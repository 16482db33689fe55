// The register file of a signal's ucontext, or of getcontext; the stack it is on, and who is called
// there.
#pragma once

#include <pthread.h>
#include <span>
#include <ucontext.h>

#include "lib/base/registers.h"
#include "lib/base/types.h"
#include "lib/recover/unwind.h"

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

// All that the calling thread may have in use of it: with some room for frames further in.
inline recover::StackBounds own_stack() {
  return {page_down(address_of(__builtin_frame_address(0))) - 4 * page_size, stack_top()};
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

// Walks the stack from where getcontext filled `context` in, which is frames[0]; returns how many
// there are.
inline unsigned frames_above(const ucontext_t& context, std::span<recover::Frame> frames) {
  return recover::unwind(registers_of(context), own_stack(), frames);
}

}  // namespace selfheal::test
