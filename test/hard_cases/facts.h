// What the subject tells the runner behind the program's back: a file that both map, so that it
// holds however the subject ends.
#pragma once

#include <stdint.h>

namespace hard {

inline constexpr const char* facts_variable = "HARD_CASE_FACTS";

struct Facts {
  uint64_t region_calls;  // entered when last looked at
  uint64_t went_native;   // left before their end when last looked at
  uint64_t asked;         // calls of in_engine
  uint64_t missed_line;   // of the first one that found the region outside the engine; 0: none
};

}  // namespace hard
