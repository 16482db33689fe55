// Every way out of a region (issue 3, item 5).
#include "test/hard_cases/subject.h"

using namespace hard;

// The plainest of all: what all others rest on.
HARD_CASE(a_region_returns, "in the region\n") {
  in_engine(__LINE__);
  say("in the region\n");
  in_engine(__LINE__);
  return 0;
}
