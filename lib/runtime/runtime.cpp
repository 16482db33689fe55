#include "lib/runtime/runtime.h"

#include <time.h>

namespace selfheal::runtime {
namespace {

constexpr u64 second_ns = 1'000'000'000;

u64 read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<u64>(now.tv_sec) * second_ns + static_cast<u64>(now.tv_nsec);
}

}  // namespace

constinit Runtime runtime;

u64 monotonic_ns() {
  return read_clock(CLOCK_MONOTONIC);
}

u64 realtime_ns() {
  return read_clock(CLOCK_REALTIME);
}

}  // namespace selfheal::runtime
