// Regions inside of a region: the engine runs A, which calls B, whose entry is patched as well.
//
//   guest stack                 nest                                 undo log
//   │ A's return address  │     outer[0]: A's entry_sp, registers    ├ what A stored
//   │ A's frames          │
//   │ B's return address  │     Thread: B's entry_sp, registers      ├── outer[0].mark
//   │ B's frames          │                                          ├ what B stored
//   │ … rsp               │                                          ▼
//
// A fault in B can then be rolled back to B's entry, and A goes on in the engine with B's error
// value: the log is replayed down to the mark only. Thread has the innermost activation, so leaving
// it is noticed as leaving the outermost always was, by the stack pointer. What B stores into A's
// frames is logged while B runs, as they are alive for B; what it stores to its own is dead for
// both.
//
// Another call of a region that is running already (a recursion) begins no activation: it is its
// outermost call that is rolled back. Nor does one that is nested deeper than there is room, nor a
// jump from the function that the innermost activation is of (a tail call, whose frame is that
// function's): the activation is then of both, and remembers which one it has come to.
#pragma once

#include "emulator/undo_log.h"
#include "lib/base/registers.h"

namespace selfheal::emulator {

struct Thread;
struct Op;

// An activation that another one has begun in.
struct Outer {
  u64 entry_sp;
  u64 return_address;
  u64 region_index;
  u64 come_to;  // the region that it has jumped to; else region_index
  Registers checkpoint;
  u32 checkpoint_mxcsr;
  u16 checkpoint_x87_control;
  u64 limit;           // its instructions
  u64 begun_at;        // instructions when the inner one began
  UndoLog::Mark mark;  // likewise
};

struct Nest {
  static constexpr u32 capacity = 12;
  u32 depth;
  u64 come_to;  // of the innermost activation
  Outer outer[capacity];
};

// At the head of the block at a region's entry; `immediate` is its index.
const Op* do_enter_region(Thread& t, const Op& op);

// The innermost activation has come to its end: the one around it goes on.
void end_nested(Thread& t);

}  // namespace selfheal::emulator
