// What a copy's processes hold, and what of that is a leak: what grows with each workload, and does
// not go away when the server's own time-outs are over.
#pragma once

#include <string>
#include <vector>

#include "cli/campaign/copy.h"

namespace selfheal::cli::campaign {

struct Holdings {
  u64 descriptors = 0;
  u64 threads = 0;
  u64 memory = 0;  // resident, KiB
  u64 processes = 0;
};

Holdings holdings(const Copy& copy);

// Enough to look twice.
bool grew(const Holdings& before, const Holdings& after);

// What grew with each workload, one line each. `looks` were taken after one workload each; the
// first may differ for good reasons (a thread's first heal touches its undo log).
std::vector<std::string> leaks_of(const std::vector<Holdings>& looks);

// It may still be each thread's first turn.
bool only_memory_grew(const Holdings& before, const Holdings& after);

// Holdings when no more is open, running or waiting than at `before`, or when the server's time to
// linger is over.
Holdings when_given_back(Copy& copy, const Holdings& before);

}  // namespace selfheal::cli::campaign
