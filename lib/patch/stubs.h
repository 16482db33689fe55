// The code a patched entry jumps to, one cell a region, in memory within +-2 GiB of its function.
//
//   cell + 0    push $region_index            what enter_target is told
//        + 5    jmp  *%fs:enter_target        thread-local: engine, or selfheal_enter_native
//        + 16   the native path               see plan.h
//
// A function that is only kept from running out of stack has a cell that goes on natively by
// itself:
//
//   cell + 0    cmp  %rsp, %fs:stack_limit    thread-local, one word for each size of reserve;
//        + 9    ja   + 112                    0 where nobody knows the stack
//        + 11   nop
//        + 16   the native path
//        + 112  push $region_index            too deep, or to be looked at
//        + 117  jmp  *%fs:refuse_target
//
// That changes flags. No compiled code passes anything in them to a function (System V ABI, 3.2.1).
//
// The cell of a function that is diverted for good, for everybody (an allocator's), goes straight
// to its replacement; its native path is then what the replacement calls:
//
//   cell + 0    movabs $replacement, %r11     r11 is free at a function's entry (psABI, 3.2.1)
//        + 10   jmp  *%r11
//        + 16   the native path
//
// A cell, once written, is never changed or given to another region: a thread may be in it at any
// time, and fork children go on sharing the pages. A child cannot write to what it shares (see
// CodeMemory), and makes pools of its own for what it patches later.
//
// Not thread-safe: the patcher holds its lock around everything but `contains`.
#pragma once

#include <array>
#include <atomic>

#include "lib/base/code_memory.h"
#include "lib/base/types.h"

namespace selfheal::patch {

inline constexpr u32 max_regions = 1024;
inline constexpr u64 cell_size = 128;
inline constexpr u64 native_offset = 16;
inline constexpr u64 refuse_offset = 112;

class Stubs {
 public:
  constexpr Stubs() = default;

  // Of the initial-exec TLS variables, from the thread pointer (negative).
  void start(i32 enter_target_offset, i32 refuse_target_offset) {
    enter_target_offset_ = enter_target_offset;
    refuse_target_offset_ = refuse_target_offset;
  }

  // A fresh cell from which all of [low, high) is in reach of rel32; 0 when there is none.
  u64 allocate(u64 low, u64 high);

  // Gives back the cell that the last `allocate` gave, if nothing has been written to it.
  void give_back(u64 cell);

  // Fills the cell. `stack_limit_offset`: of the thread-local word rsp is compared with; 0: the
  // cell enters the engine.
  void write(u64 cell, u32 region_index, const u8* native, u64 native_size, i32 stack_limit_offset);
  void write_diversion(u64 cell, u64 replacement, const u8* native, u64 native_size);

  bool contains(u64 address) const;

 private:
  struct Pool {
    CodeMemory memory;
    u64 owner = 0;  // pid of the process that may write to it
  };

  Pool* pool_of(u64 cell);

  static constexpr unsigned max_pools = 16;
  static constexpr u64 pool_size = max_regions * cell_size;

  std::array<Pool, max_pools> pools_{};
  std::atomic<u32> pool_count_{0};
  i32 enter_target_offset_ = 0;
  i32 refuse_target_offset_ = 0;
};

}  // namespace selfheal::patch

extern "C" {
// Where each region's native path is; 0: no such region. Read by selfheal_enter_native.
extern selfheal::u64 selfheal_native_paths[selfheal::patch::max_regions];

// The value `enter_target` has in a thread that has no engine. Entered by a cell's jump with
// [rsp] = region index, [rsp+8] = return address; goes to the region's native path with the stack
// as at the function's entry and every register and flag as they were.
void selfheal_enter_native();
}
