// The calling thread's stacks.
#pragma once

#include "lib/base/types.h"

namespace selfheal::probes {

struct ThreadStack {
  u64 low;  // of its normal stack, as pthread_create or exec made it; high 0: not known
  u64 high;
  u64 own_top;  // of our alternate stack; 0: none
  bool grows;   // the first thread's: up to RLIMIT_STACK, which may be changed
};

// A few loads; any context.
ThreadStack thread_stack();

}  // namespace selfheal::probes
