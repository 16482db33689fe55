// What the engine did in this process: counts for selfheal_get_statistics and the option
// `statistics`.
//
// Counting is on the way into a region, which takes some 60 ns, so it locks nothing: each thread
// adds to a cell of its own, as long as there are no more than `cell_count` of them. Beyond that
// threads share cells and an addition may get lost. Any thread, any context.
#pragma once

#include <atomic>

#include "emulator/engine.h"
#include "lib/base/types.h"

namespace selfheal::runtime {

inline constexpr unsigned cell_count = 64;

struct alignas(64) CountCell {
  std::atomic<u64> calls{0};
  std::atomic<u64> instructions{0};

  static void add(std::atomic<u64>& count, u64 more) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
};

extern thread_local constinit CountCell* count_cell;

// Gives the calling thread its cell.
void choose_count_cell();

// One line a reason for which guest code was left to the processor, the first `reason_count` kinds.
struct NativeReason {
  std::atomic<const char*> text{nullptr};
  std::atomic<u64> count{0};
  std::atomic<u64> first{0};  // guest rip when it was met first
};
inline constexpr unsigned reason_count = 16;
extern constinit NativeReason native_reasons[reason_count];

// The activation ended by going on natively, unprotected, at `rip`.
void count_native(const char* reason, u64 rip);

// A region is entered.
inline void count_call() {
  CountCell::add(count_cell->calls, 1);
}

// emulator::run came back.
inline void count_run(const emulator::Thread& thread, const emulator::Outcome& outcome) {
  CountCell::add(count_cell->instructions, outcome.instructions);
  switch (outcome.stop) {
    case emulator::Stop::unsupported:
      count_native(outcome.reason, thread.guest.rip);
      break;
    case emulator::Stop::log_full:
      count_native("the undo log is full", thread.guest.rip);
      break;
    case emulator::Stop::return_mismatch:
      count_native("the return address was changed", thread.guest.rip);
      break;
    default:
      break;
  }
}

struct Counts {
  u64 calls;
  u64 instructions;  // the calling thread's running activation included
  u64 went_native;   // of all reasons, also those that found no line
};
Counts counts();

}  // namespace selfheal::runtime
