// The breaker: decides whether a site may be healed once more (DESIGN.md, invariant 7).
//
// A healing server must not become an oracle: somebody who probes its memory makes one site fault at
// many different addresses, an ordinary bug at few. And a site that faults without end is better
// served by a restart. Both counts are shared by all processes forked from one start, so a fresh
// worker does not mean a fresh budget.
//
// Lock-free and signal-safe; no system call but the vdso's clock.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

enum class BreakerVerdict : u8 { allow, rate, probing };

class Breaker {
 public:
  // Maps the shared counters. False: no memory; then `ask` allows nothing.
  bool map();

  // May region `index` be healed now, at `now_ns` (CLOCK_MONOTONIC), of a fault at `address`?
  // `address` 0: none, or a NULL page access, which tells a prober nothing. `per_minute` 0: no limit.
  BreakerVerdict ask(u32 index, u64 now_ns, u64 address, u64 per_minute);

 private:
  struct Site;
  Site* sites_ = nullptr;
};

const char* name_of(BreakerVerdict verdict);

}  // namespace selfheal::runtime
