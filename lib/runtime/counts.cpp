// Built with -mgeneral-regs-only and free of libc: part of it runs while the guest's vector
// registers are live.
#include "lib/runtime/counts.h"

namespace selfheal::runtime {
namespace {

constinit CountCell cells[cell_count] = {};
constinit std::atomic<u32> next_cell{1};
constinit std::atomic<u64> went_native{0};

bool same_text(const char* a, const char* b) {
  while (*a == *b && *a != '\0') {
    ++a;
    ++b;
  }
  return *a == *b;
}

// True when the line is `reason`'s, which it may just have become.
bool claim(NativeReason& line, const char* reason, u64 rip) {
  const char* present = line.text.load(std::memory_order_acquire);
  if (present == nullptr && line.text.compare_exchange_strong(present, reason)) {
    line.first.store(rip, std::memory_order_relaxed);
    return true;
  }
  return present == reason || same_text(present, reason);
}

}  // namespace

thread_local constinit CountCell* count_cell = &cells[0];
constinit NativeReason native_reasons[reason_count] = {};

void choose_count_cell() {
  count_cell = &cells[next_cell.fetch_add(1, std::memory_order_relaxed) % cell_count];
}

void count_native(const char* reason, u64 rip) {
  went_native.fetch_add(1, std::memory_order_relaxed);
  if (reason == nullptr) {
    reason = "no reason given";
  }
  for (NativeReason& line : native_reasons) {
    if (claim(line, reason, rip)) {
      line.count.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
}

Counts counts() {
  Counts sum{0, emulator::instructions_so_far(), went_native.load(std::memory_order_relaxed)};
  for (const CountCell& cell : cells) {
    sum.calls += cell.calls.load(std::memory_order_relaxed);
    sum.instructions += cell.instructions.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace selfheal::runtime
