// Budgets of a region's call (issue 3, item 9): what never ends becomes an error return, with
// everything undone. Natively nothing would end it, so there the loops are not entered.
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

volatile int written = 1;

// What the region's caller is told when it is healed: it tests the sign.
template <typename Region>
int tell(Region region) {
  errno = 0;
  const int result = region();
  if (result < 0) {
    say("failed, %d, written %d\n", errno == ETIMEDOUT, written);
  }
  return !loaded() || heals() == 1 ? 0 : 1;
}

// What the engine must make of it.
int as_healed() {
  errno = ETIMEDOUT;
  return -1;
}

}  // namespace

REGION int jumps_to_itself() {
  if (!loaded()) {
    return as_healed();
  }
  written = 2;
  in_engine(__LINE__);
  asm volatile("1: jmp 1b");
  return 0;
}

HARD_CASE_OF(a_one_instruction_loop_meets_the_instruction_budget, "jumps_to_itself",
             "failed, 1, written 1\n", .options = "instruction-budget=1000000") {
  return tell(jumps_to_itself);
}

HARD_CASE_OF(a_one_instruction_loop_meets_the_time_budget, "jumps_to_itself",
             "failed, 1, written 1\n", .options = "time-budget=50") {
  return tell(jumps_to_itself);
}

// One instruction that would look at 1 TiB of zeros for something else.
REGION int searches_a_tebibyte() {
  if (!loaded()) {
    return as_healed();
  }
  constexpr uint64_t size = uint64_t{1} << 40;
  written = 2;
  const void* at =
      mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    return 1;
  }
  in_engine(__LINE__);
  uint64_t count = size;
  asm volatile("repne scasb" : "+D"(at), "+c"(count) : "a"(1) : "cc", "memory");
  return 0;
}

HARD_CASE_OF(a_string_instruction_meets_the_instruction_budget, "searches_a_tebibyte",
             "failed, 1, written 1\n", .options = "instruction-budget=50000") {
  return tell(searches_a_tebibyte);
}

HARD_CASE_OF(a_string_instruction_meets_the_time_budget, "searches_a_tebibyte",
             "failed, 1, written 1\n", .options = "time-budget=50") {
  return tell(searches_a_tebibyte);
}

// Each call has a budget of its own, and what stays within it is not disturbed.
REGION int counts_to(int n) {
  volatile int i = 0;
  while (i < n) {
    i = i + 1;
  }
  return i;
}

HARD_CASE_OF(each_call_has_its_own_budget, "counts_to", "5000000\n",
             .options = "instruction-budget=1000000:time-budget=60000") {
  int sum = 0;
  for (int i = 0; i < 100; ++i) {
    sum += counts_to(50000);
  }
  say("%d\n", sum);
  return heals() == 0 ? 0 : 1;
}
