// The breaker: may a site be healed once more (DESIGN.md, invariant 7)?
//
// A healing server must not become an oracle: somebody who probes its memory makes one site fault
// at many different addresses, an ordinary bug at few. And a site that faults without end is better
// served by a restart. Both are judged on counts that all workers share (store/budget.h), so a
// fresh worker does not mean a fresh budget.
#pragma once

#include "lib/store/budget.h"

namespace selfheal::runtime {

enum class BreakerVerdict : u8 { allow, rate, probing };

// Distinct fault addresses a site may show before it looks like probing. A wild pointer out of
// uninitialised memory varies too, so the limit leaves room for bugs. NULL-page addresses tell a
// prober nothing and are not counted.
inline constexpr u32 max_distinct_addresses = 32;

// `per_minute` 0: no limit on the rate.
constexpr BreakerVerdict judge(const store::BudgetUse& use, u64 per_minute) {
  if (use.distinct_addresses > max_distinct_addresses) {
    return BreakerVerdict::probing;
  }
  if (per_minute != 0 && use.heals_this_minute > per_minute) {
    return BreakerVerdict::rate;
  }
  return BreakerVerdict::allow;
}

}  // namespace selfheal::runtime
