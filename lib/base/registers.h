// The general-purpose register file in the processor's own numbering, so that the encoding of an
// instruction indexes it directly (Intel SDM vol. 2, 2.1.5, table 2-2).
#pragma once

#include "lib/base/types.h"

namespace selfheal {

enum Gpr : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

inline constexpr unsigned gpr_count = 16;

struct Registers {
  u64 gpr[gpr_count];
  u64 rip;
  u64 rflags;
};

static_assert(sizeof(Registers) == 18 * 8);

// For code that runs while the guest's vector registers are live: a plain assignment may become a
// call of libc's memcpy, which uses them.
inline void copy_registers(Registers& to, const Registers& from) {
  Registers* target = &to;
  const Registers* source = &from;
  u64 words = sizeof(Registers) / sizeof(u64);
  asm volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(words) : : "memory");
}

}  // namespace selfheal
