// What surrounds a program: the kernel's pages, the dynamic linker, floating-point state (issue 3,
// item 7).
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "test/hard_cases/generated.h"
#include "test/hard_cases/seen_fault.h"

using namespace hard;

HARD_CASE(the_vdso_tells_time_and_place, "later, and the same\n") {
  timespec first{};
  timespec second{};
  clock_gettime(CLOCK_MONOTONIC, &first);
  clock_gettime(CLOCK_MONOTONIC, &second);
  const bool later = second.tv_sec > first.tv_sec || second.tv_nsec >= first.tv_nsec;
  const time_t now = time(nullptr);
  timeval of_day{};
  gettimeofday(&of_day, nullptr);
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(static_cast<size_t>(sched_getcpu()), &here);
  sched_setaffinity(0, sizeof here, &here);
  unsigned cpu = 0;
  getcpu(&cpu, nullptr);
  in_engine(__LINE__);
  say("%s, and %s\n", later ? "later" : "earlier",
      CPU_ISSET(cpu, &here) && of_day.tv_sec - now <= 1 ? "the same" : "another");
  return 0;
}

namespace {

constexpr uint64_t vsyscall = 0xffffffffff600000;

void call_beside_vsyscall() {
  int (*f)();
  const uint64_t address = vsyscall + 8;
  memcpy(&f, &address, sizeof f);
  f();
}

// A kernel may be told to do without (vsyscall=none).
bool has_vsyscalls() {
  FILE* maps = fopen("/proc/self/maps", "re");
  char line[512];
  bool found = false;
  while (fgets(line, sizeof line, maps) != nullptr) {
    found = found || strstr(line, "[vsyscall]") != nullptr;
  }
  fclose(maps);
  return found;
}

template <typename F>
F* vsyscall_at(uint64_t offset) {
  return reinterpret_cast<F*>(vsyscall + offset);
}

}  // namespace

// Execute-only: what is there cannot be decoded, and the kernel emulates it.
REGION int calls_vsyscalls() {
  const time_t before = time(nullptr);
  time_t stored = 0;
  timeval of_day{};
  unsigned cpu = ~0U;
  const time_t told = vsyscall_at<time_t(time_t*)>(0x400)(&stored);
  const int day = vsyscall_at<int(timeval*, void*)>(0)(&of_day, nullptr);
  const int place = vsyscall_at<int(unsigned*, unsigned*, void*)>(0x800)(&cpu, nullptr, nullptr);
  in_engine(__LINE__);
  say("time %d day %d cpu %d %d\n", told == stored && told - before <= 1,
      day == 0 && of_day.tv_sec - told <= 1, place, cpu != ~0U);
  in_engine(__LINE__);
  return 0;
}

HARD_CASE_OF(the_vsyscall_page, "calls_vsyscalls", "time 1 day 1 cpu 0 1\n", .leaves = true) {
  if (has_vsyscalls()) {
    return calls_vsyscalls();
  }
  say("time 1 day 1 cpu 0 1\n");
  return signal_raised_by([] { calls_vsyscalls(); }) == 11 ? 0 : 1;
}

HARD_CASE(beside_the_vsyscalls, "signal 11\n", .leaves = true) {
  in_engine(__LINE__);
  say("signal %d\n", signal_raised_by(call_beside_vsyscall));
  return 0;
}
