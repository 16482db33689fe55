// "Did you mean": the known name nearest to what somebody wrote. Pure; any thread.
#pragma once

#include <string_view>

namespace selfheal::options {

// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a` (optimal string
// alignment distance; Damerau 1964). Names longer than 63 bytes are compared by their start.
unsigned edit_distance(std::string_view a, std::string_view b);

}  // namespace selfheal::options
