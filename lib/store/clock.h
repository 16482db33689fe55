// CLOCK_REALTIME in nanoseconds by a raw system call: for opening and promoting, not for recording
// (records bring their own time).
#pragma once

#include <time.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/types.h"

namespace selfheal::store {

inline u64 realtime_ns() {
  timespec now = {};
  raw_syscall(SYS_clock_gettime, CLOCK_REALTIME, address_of(&now));
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

}  // namespace selfheal::store
