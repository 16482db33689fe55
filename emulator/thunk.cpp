#include "emulator/thunk.h"

#include "emulator/generated_code.h"

namespace selfheal::emulator {
namespace {

constexpr u16 bit(unsigned reg) {
  return static_cast<u16>(1U << reg);
}

constexpr u16 callee_saved = bit(rbx) | bit(rbp) | bit(r12) | bit(r13) | bit(r14) | bit(r15);

// A register that the instruction does not use, whose number fits ModRM without a prefix bit and
// is not one that ModRM treats specially (4 means SIB, and 5 a displacement only, in some modes).
u8 spare_register(u16 used) {
  for (const u8 r : {rsi, rdi, rax, rcx, rdx, rbx}) {
    if ((used & bit(r)) == 0) {
      return r;
    }
  }
  return rbx;
}

// Turns disp32(%rip) into 0(%spare). The length stays: ModRM mod 10 has a disp32 as well. The
// prefix bit that extends the base register must be clear: REX.B, or the inverted VEX.B and EVEX.B
// (a two-byte VEX implies it). Those that precede ModRM are found by walking the prefixes.
void rebase(u8* code, const ThunkPlan& plan, u8 spare) {
  const unsigned modrm = static_cast<unsigned>(plan.modrm_offset);
  code[modrm] = static_cast<u8>((code[modrm] & 0x38) | 0x80 | spare);
  for (unsigned i = 0; i < 4; ++i) {
    code[plan.displacement_offset + i] = 0;
  }
  unsigned i = 0;
  const auto is_rex = [](u8 b) { return (b & 0xf0) == 0x40; };
  const auto legacy = [](u8 b) {
    return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0xf0 || b == 0x2e ||
           b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 || b == 0x65;
  };
  for (; i < modrm && (legacy(code[i]) || is_rex(code[i])); ++i) {
    if (is_rex(code[i])) {
      code[i] &= 0xfe;  // all of them: only the last one counts
    }
  }
  if (code[i] == 0xc4 || code[i] == 0x62 || code[i] == 0x8f) {
    code[i + 1] |= 0x20;
  }
}

// Two of these before an x87 instruction hold eight bytes for original_of, without effect.
constexpr u8 wide_nop[4] = {0x0f, 0x1f, 0x84, 0x00};  // nop disp32(%rax,%rax)
constexpr unsigned marks_size = 16;

void emit_mark(Emitter& e, u32 value) {
  for (const u8 b : wide_nop) {
    e.byte(b);
  }
  e.dword(value);
}

bool read_mark(u64 at, u32& value) {
  for (unsigned i = 0; i < sizeof wide_nop; ++i) {
    if (*pointer_to<const u8>(at + i) != wide_nop[i]) {
      return false;
    }
  }
  value = *pointer_to<const u32>(at + sizeof wide_nop);
  return true;
}

}  // namespace

u64 widen_x87_rip(u64 rip) {
  if (rip >> 32 != 0) {
    return rip;
  }
  // Thunks lie above the enter trampoline, which is the first that was generated.
  constexpr u64 half = u64{1} << 32;
  const u64 first = trampolines().enter;
  const u64 low = (first & ~(half - 1)) | rip;
  const u64 candidate = low < first ? low + half : low;
  return in_generated_code(candidate) ? candidate : 0;
}

bool original_of(u64 x87_rip, X87Instruction& original) {
  const u64 marks = x87_rip - marks_size;
  u32 low;
  u32 high;
  if (!in_generated_code(x87_rip) || !in_generated_code(marks) || !read_mark(marks, low) ||
      !read_mark(marks + marks_size / 2, high)) {
    return false;
  }
  original.rip = static_cast<u64>(high & 0xffff) << 32 | low;
  original.opcode = static_cast<u16>(high >> 16);
  return true;
}

u64 make_thunk(const ThunkPlan& plan) {
  u8 buffer[320];
  Emitter e(buffer, sizeof buffer);
  u16 used = plan.registers_used;
  u8 spare = 0;
  if (plan.modrm_offset >= 0) {
    spare = spare_register(used);
    used |= bit(spare);
  }
  const u16 saved = used & callee_saved;
  for (u8 r = 0; r < gpr_count; ++r) {
    if ((saved & bit(r)) != 0) {
      e.push(r);
    }
  }
  if (plan.all_flags) {
    e.push_word(guest_flags());
    e.popfq();
  } else if (plan.flags_used) {
    e.load_status_flags(guest_flags());
  }
  for (u8 r = 0; r < gpr_count; ++r) {
    if (r != rsp && (plan.registers_used & bit(r)) != 0) {
      e.load(r, guest_word(r));
    }
  }
  if (plan.modrm_offset >= 0) {
    e.move_immediate(spare, plan.relative_address);
  }
  const bool own_stack = (plan.registers_used & bit(rsp)) != 0;
  if (own_stack) {
    e.store(rsp, in_thread(offsetof(Thread, host_sp)));
    e.load(rsp, guest_word(rsp));
  }
  u8 code[16];
  for (unsigned i = 0; i < plan.size; ++i) {
    code[i] = plan.bytes[i];
  }
  if (plan.modrm_offset >= 0) {
    rebase(code, plan, spare);
  }
  if (plan.x87_rip != 0) {
    emit_mark(e, static_cast<u32>(plan.x87_rip));
    emit_mark(e, static_cast<u32>(plan.x87_rip >> 32) | static_cast<u32>(plan.x87_opcode) << 16);
  }
  for (unsigned i = 0; i < plan.size; ++i) {
    e.byte(code[i]);
  }
  if (own_stack) {
    if ((plan.registers_written & bit(rsp)) != 0) {
      e.store(rsp, guest_word(rsp));
    }
    e.load(rsp, in_thread(offsetof(Thread, host_sp)));
  }
  for (u8 r = 0; r < gpr_count; ++r) {
    if (r != rsp && (plan.registers_written & bit(r)) != 0) {
      e.store(r, guest_word(r));
    }
  }
  if (plan.all_flags) {
    e.pushfq();
    e.pop_word(guest_flags());
    e.cld();
  } else if (plan.flags_written) {
    e.store_status_flags(guest_flags());
  }
  for (u8 r = gpr_count; r-- > 0;) {
    if ((saved & bit(r)) != 0) {
      e.pop(r);
    }
  }
  e.ret();
  return e.overflow() ? 0 : place_code(buffer, e.size());
}

}  // namespace selfheal::emulator
