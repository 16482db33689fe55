// Keeping a recursion from running out of stack, without an engine (Remedy::stack_check).
//
//   high ┌──────────────────────┐   A patched entry compares rsp with a thread-local word (the cell
//        │ main, serve          │   of lib/patch/stubs.h): a few nanoseconds. Above it the call
//        goes │ parse ◄ outermost    │   on natively. Below, in the reserve, it is refused: its
//        caller │ parse                │   gets an error at once, and the program's own error path
//        unwinds │ …                    │   the recursion.
//  limit ├──────────────────────┤
//        │ reserve: for what the last call allowed still calls, for signal handlers, for cleaning
//        up
//    low └──────────────────────┘ guard
//
// The reserve is a sixteenth of the stack, at least 64 KiB, at most a quarter (a worker may have no
// more than that in all); or the entry's `stack_reserve`, if that is more, up to three quarters.
// Entries with different reserves compare with different words.
//
// One recursion may be refused many times while it unwinds (a parser tries its alternatives, a list
// of lists goes on with the next): that is one heal, journalled and counted by the breaker once. So
// after a refusal all words of the thread say "look closer", until a call shows that the outermost
// activation has been left.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

inline constexpr unsigned reserve_classes = 8;

// The least class whose reserve is no smaller than `stack_reserve` bytes; 0 is the default's.
u8 reserve_class(u64 stack_reserve);

// Bytes that a stack of `size` bytes keeps free in a class. Pure.
u64 reserve_of(u8 reserve_class, u64 size);

// For the cells: offsets from the thread pointer.
i32 stack_limit_offset(u8 reserve_class);
i32 refuse_target_offset();

// Sets the calling thread's limits. Without it, and on stacks that the program made itself
// (makecontext, an alternate signal stack), calls are not checked.
void learn_stack();

// What is known of the unwinding of a refused recursion.
struct Unwinding {
  u64 outermost;   // rsp at the entry of the outermost activation; 0: nothing is being unwound
  u64 progress;    // blocking calls the thread had made
  bool whole;      // outermost is known; else the next blocking call ends the unwinding
  bool denied;     // policy or breaker said no: natively, whatever comes of it
  u64 returns_to;  // the caller asked about last, and what it gets
  u64 value;
  i32 error_number;
};

struct DepthGuard {
  u64 low;   // of the thread's stack, first usable byte; these two are known to stack_check.S
  u64 span;  // 0: not known
  bool first_thread;
  u64 limits[reserve_classes];
  u64 high() const { return low + span; }
  Unwinding unwinding;
};

extern "C"
    __attribute__((visibility("hidden"))) constinit thread_local DepthGuard selfheal_depth_guard;
inline DepthGuard& depth_guard() {
  return selfheal_depth_guard;
}

// Makes every check of the thread look closer, or not any more.
void begin_unwinding(u64 outermost, bool whole);
void end_unwinding();

// Where a refused call's registers are, as the entry code (stack_check.S) keeps them.
struct RefusedCall {
  u64 rbx, rbp, r12, r13, r14, r15;
  u64 entry_sp;  // [entry_sp] is the return address
  u64 region_index;
};

struct Refusal {
  u64 value;    // what the caller gets in rax
  u64 refused;  // 0: policy or breaker said no, the call goes on natively
};

}  // namespace selfheal::runtime

extern "C" {
// What cells jump to: [rsp] = region index, [rsp+8] = return address.
void selfheal_check_depth();
// 0: the call may go on natively; else the top of a stack to refuse it on, and above that an area
// for the vector registers, which are live.
selfheal::u64 selfheal_judge_depth(selfheal::u64 region_index, selfheal::u64 entry_sp);
selfheal::runtime::Refusal selfheal_refuse_call(const selfheal::runtime::RefusedCall* call);
}
