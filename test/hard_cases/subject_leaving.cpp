// Every way out of a region (issue 3, item 5).
#include <string.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"

using namespace hard;

// The plainest of all: what all others rest on.
HARD_CASE(a_region_returns, "in the region\n") {
  in_engine(__LINE__);
  say("in the region\n");
  in_engine(__LINE__);
  return 0;
}

// What our wrapper in front of read() lets the kernel write is the region's own doing.
namespace {

int ends[2];
char buffer[] = "old";

}  // namespace

REGION int reads_and_fails() {
  read(ends[0], buffer, 3);
  in_engine(__LINE__);
  return fail();
}

HARD_CASE_OF(what_read_filled_is_rolled_back, "reads_and_fails", "0 old\n") {
  pipe(ends);
  write(ends[1], "new", 3);
  const int result = reads_and_fails();
  as_rolled_back([] { memcpy(buffer, "old", 3); });
  say("%d %s\n", result, buffer);
  return 0;
}
