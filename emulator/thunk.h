// Instructions that the processor executes itself: a thunk is the instruction, copied out of line,
// with the guest's general-purpose registers that it uses loaded before and stored after.
//
//   mov  %fs:guest.rsi, %rsi          what it reads or writes, partly or wholly
//   vmovdqu64 %zmm16, 64(%rsi){%k1}   the instruction: vector state is the guest's own, live
//   ret                               (mov  %rsi, %fs:guest.rsi  had it been written)
//
// What is more than that: flags are loaded and stored where the instruction knows them; rsp is
// switched where it is an operand; an operand relative to rip gets a spare register with the
// absolute address as its base instead. What the instruction stores is logged before (StoreKind).
#pragma once

#include "emulator/op.h"

namespace selfheal::emulator {

// What the instruction writes to memory: Zydis' operand data is not enough to know
// (facts-engine.md, section 3).
enum class StoreKind : u8 {
  none,
  fixed,        // `size` bytes at the operand
  string,       // elements of `size` at rdi
  masked,       // elements of `size`, those whose bit is set in mask register `mask`
  compressed,   // as many elements of `size` as bits are set, from the operand on
  scattered,    // elements of `size` at base + index[lane], under `mask`
  sign_masked,  // elements of `size`, those whose top bit is set in vector register `mask`
  at_rdi,  // bytes at rdi under the top bits of vector (size 16) or MMX (size 8) register `mask`
  direct,  // 64 bytes at the address in register `index`
  cache_line,  // the 64 bytes around the address in rax
  xsave,       // the requested components, in the standard format
  xsave_used,  // of them, those that are not in their initial state
  xsave_compact,
  enter,    // `lanes` pushes of `size` bytes
  push,     // `size` bytes below rsp
  gs_base,  // no memory at all
};

// Images of x87 state in memory, by where they have the last instruction's address (x87_image.cpp).
enum class X87Image : u8 {
  none,
  environment_16,  // fnstenv, fnsave with an operand-size prefix
  environment_32,
  extended_32,  // fxsave, xsave
  extended_64,  // fxsave64, xsave64
};

struct ThunkOp {
  u64 code;  // address of the thunk
  StoreKind store;
  X87Image image;
  u8 mask;        // register number
  u8 index;       // scattered: vector register of indices; direct: offset of the register
  u8 index_size;  // scattered: 4 or 8
  bool repeats;   // string instructions
  bool compares;
  bool repeats_while_equal;
  bool reads_source;
  bool uses_destination;
  u16 lanes;
  u32 size;
};

inline void run_thunk(const ThunkOp& thunk) {
  asm volatile("call *%0"
               :
               : "r"(thunk.code)
               : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
}

// What a thunk has to know to be made.
struct ThunkPlan {
  const u8* bytes;
  u8 size;
  u16 registers_used;  // bit per GPR, read or written
  u16 registers_written;
  bool flags_used;
  bool flags_written;
  bool all_flags;   // DF matters, and is not ours between instructions
  u64 x87_rip;      // of an x87 instruction: what its images shall say; 0: it is none
  u16 x87_opcode;   // likewise
  i8 modrm_offset;  // of an operand relative to rip; -1: none
  u8 displacement_offset;
  u64 relative_address;  // its absolute address
};

// What the guest's x87 state says of its last instruction, in the guest's terms: of a thunk's copy,
// where the original is. False: it is no copy of ours.
struct X87Instruction {
  u64 rip;
  u16 opcode;
};
// Half of such an address is enough, as generated code is smaller than 4 GiB. 0: it is none.
u64 widen_x87_rip(u64 rip);
bool original_of(u64 x87_rip, X87Instruction& original);

// Emits it into the generated code. 0: no room. Callers hold the block lock.
u64 make_thunk(const ThunkPlan& plan);

// Asks CPUID, once, how large the components of XSAVE are: later it would cost a trap each.
void start_store_extents();

// Logs what `op` is about to write. False after stopping.
bool log_stores(Thread& t, const Op& op);

}  // namespace selfheal::emulator
