// What follows from the counts of lib/store/learning.h.
#pragma once

#include <string>
#include <vector>

#include "cli/format.h"
#include "lib/store/functions.h"
#include "lib/store/learning.h"

namespace selfheal::cli {

// Fewer calls than this say nothing.
inline constexpr u64 least_good_calls = 16;
inline constexpr u64 least_bad_returns = 4;

// One function as it was watched.
struct Watched {
  RecordModule module;
  u64 entry_offset;
  u64 code_hash;
  std::vector<store::SeenValue> values;  // each once, those of good traffic first, by their number
  u64 other_good;
  u64 other_bad;

  u64 calls_good() const;
  u64 calls_bad() const;
};

// Those that returned at all.
std::vector<Watched> watched_functions(const store::Learning& learning);

// The values that were seen in bad traffic only, and often enough, the most frequent first. Of a
// function that returns more than a few different values only 0 and what is negative can be one:
// any length or address is mostly new.
std::vector<store::SeenValue> error_values(const Watched& watched);

// "0 x120, 3 x40, 7 more": how often in good (or bad) traffic.
std::string values_text(const Watched& watched, bool good);

Json json_watched(const Watched& watched);

}  // namespace selfheal::cli
