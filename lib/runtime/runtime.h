// What the runtime knows of this process, in one place.
//
// Filled by the constructor before the program's own code runs. Afterwards `store.catalog` and the
// patches change only under `changing` (one thread at a time, taken by try); the rest is constant
// or atomic, and readable from signal handlers.
#pragma once

#include <atomic>

#include "lib/base/types.h"
#include "lib/options/options.h"
#include "lib/patch/patcher.h"
#include "lib/store/open.h"

namespace selfheal::runtime {

struct Runtime {
  options::Options options;
  store::Store store;
  patch::Patcher patcher;

  bool active = false;         // probes are installed and the store is open
  bool watching = false;       // dlopen and dlclose are followed
  bool engine_failed = false;  // starting it was tried and did not work: record only

  std::atomic<bool> changing{false};
  std::atomic<u32> regions{0};  // patched now

  std::atomic<u64> faults{0};
  std::atomic<u64> heals{0};
  std::atomic<u64> left_to_die{0};
  std::atomic<u64> bytes_undone{0};

  bool heals_faults() const {
    return options.mode == options::Mode::heal || options.mode == options::Mode::eager;
  }
};

extern constinit Runtime runtime;

// CLOCK_MONOTONIC and CLOCK_REALTIME, from the vdso.
u64 monotonic_ns();
u64 realtime_ns();

}  // namespace selfheal::runtime
