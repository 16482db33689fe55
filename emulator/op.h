// A decoded instruction, and the block of them that the interpreter walks.
//
//   Block ──► ops[0] handler ─► ops[1] handler ─► ... ─► control flow, or "fall_through"
//
// Everything that can be known when an instruction is decoded is resolved then: register operands
// are byte offsets into the guest's register file (so AH is RAX's offset + 1), an address is base +
// index << scale + displacement, with the instruction pointer already added where it is relative.
#pragma once

#include <atomic>

#include "emulator/thread.h"
#include "lib/base/types.h"

namespace selfheal::emulator {

struct Op;
struct Block;
struct ThunkOp;

// Executes one instruction. Returns the next one, or nullptr when the activation stops (the reason
// is in the machine). On a guest fault nothing of the instruction may have happened.
using Handler = const Op* (*)(Thread&, const Op&);

inline constexpr u8 no_register = 0xff;

enum class Segment : u8 { none, fs, gs };

struct Op {
  Handler handler;
  u64 rip;        // of the instruction
  u64 immediate;  // or the target of a direct branch, a model, a function to call natively
  u64 displacement;
  union {
    mutable std::atomic<const Block*> link;  // where a branch went last time
    const ThunkOp* thunk;
  };
  u8 length;
  u8 a;  // destination register
  u8 b;  // source register
  u8 base;
  u8 index;
  u8 scale;  // a shift
  Segment segment;
  bool address32;
  bool stack_segment;  // its operand in memory is addressed through SS: rsp or rbp as base
  bool uses_stack;     // it pushes or pops

  u64 next_rip() const { return rip + length; }
};

struct Block {
  u64 rip;
  const Block* made_before;  // all blocks that were ever made are in one list
  mutable std::atomic<bool> valid;
  u16 size;   // of the code, in bytes
  u16 count;  // of instructions
  u16 op_count;
  Op ops[];
};

}  // namespace selfheal::emulator
