// Budgets of a region's call (issue 3, item 9): what never ends becomes an error return, with
// everything undone. Natively nothing would end it, so there the loops are not entered.
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

// Where policy forbids to heal, the loop goes on natively from where it was, as without us.

namespace {

char filled[1 << 20];

int times_of(char c) {
  int count = 0;
  for (const char one : filled) {
    count += one == c ? 1 : 0;
  }
  return count;
}

}  // namespace

REGION int fills(char with) {
  char* to = filled;
  uint64_t size = sizeof filled;
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(with) : "memory");
  return to == filled + sizeof filled && size == 0 ? 0 : 1;
}

HARD_CASE_OF(a_loop_that_may_not_be_healed_goes_on, "fills counts_to", "1048576 0 50000\n",
             .leaves = true, .options = "instruction-budget=200:heals-per-minute=1") {
  fills('a');
  fills('b');
  const int result = fills('c');
  for (int i = 0; i < 4; ++i) {
    counts_to(50000);
  }
  say("%d %d %d\n", times_of('c'), result, counts_to(50000));
  return !loaded() || heals() == 2 ? 0 : 1;
}

// Calls that wait for what never comes.

namespace {

int ends[2];

}  // namespace

REGION int reads_from_nobody() {
  if (!loaded()) {
    return as_healed();
  }
  written = 2;
  char byte;
  in_engine(__LINE__);
  return static_cast<int>(read(ends[0], &byte, 1));
}

REGION int polls_nobody() {
  if (!loaded()) {
    return as_healed();
  }
  written = 2;
  pollfd nobody{ends[0], POLLIN, 0};
  in_engine(__LINE__);
  return poll(&nobody, 1, -1);
}

REGION int sleeps_a_day() {
  if (!loaded()) {
    return as_healed();
  }
  written = 2;
  const timespec day{86400, 0};
  in_engine(__LINE__);
  return nanosleep(&day, nullptr);
}

REGION int waits_for_a_futex() {
  if (!loaded()) {
    return as_healed();
  }
  written = 2;
  int word = 1;
  in_engine(__LINE__);
  return static_cast<int>(syscall(SYS_futex, &word, FUTEX_WAIT, 1, nullptr, nullptr, 0));
}

HARD_CASE_OF(a_read_meets_the_time_budget, "reads_from_nobody", "failed, 1, written 1\n",
             .options = "time-budget=50") {
  pipe(ends);
  return tell(reads_from_nobody);
}

HARD_CASE_OF(a_poll_meets_the_time_budget, "polls_nobody", "failed, 1, written 1\n",
             .options = "time-budget=50") {
  pipe(ends);
  return tell(polls_nobody);
}

HARD_CASE_OF(a_sleep_meets_the_time_budget, "sleeps_a_day", "failed, 1, written 1\n",
             .options = "time-budget=50") {
  return tell(sleeps_a_day);
}

HARD_CASE_OF(a_futex_meets_the_time_budget, "waits_for_a_futex", "failed, 1, written 1\n",
             .options = "time-budget=50") {
  return tell(waits_for_a_futex);
}

// The signal that cuts a wait short is nobody's business, blocked or not.
HARD_CASE_OF(a_wait_meets_the_time_budget_with_all_signals_blocked, "reads_from_nobody",
             "failed, 1, written 1\nblocked as before\n", .options = "time-budget=50") {
  sigset_t all;
  sigset_t before{};
  sigset_t after{};
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigprocmask(SIG_SETMASK, nullptr, &before);
  pipe(ends);
  const int result = tell(reads_from_nobody);
  sigprocmask(SIG_SETMASK, nullptr, &after);
  say("blocked %s\n", memcmp(&before, &after, sizeof before) == 0 ? "as before" : "otherwise");
  return result;
}

// Waiting within the budget is not disturbed, and what is read is right.
REGION int reads_a_byte() {
  char byte = 0;
  const ssize_t size = read(ends[0], &byte, 1);
  in_engine(__LINE__);
  return size == 1 ? byte : 0;
}

namespace {

void* writes_later(void*) {
  usleep(30000);
  write(ends[1], "x", 1);
  return nullptr;
}

}  // namespace

HARD_CASE_OF(a_wait_within_the_time_budget, "reads_a_byte", "x\n", .options = "time-budget=30000") {
  pipe(ends);
  pthread_t writer;
  pthread_create(&writer, nullptr, writes_later, nullptr);
  say("%c\n", reads_a_byte());
  pthread_join(writer, nullptr);
  return heals() == 0 ? 0 : 1;
}
