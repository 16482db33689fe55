// Threads that begin and end inside regions.
#include <atomic>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/hard_cases/thread_tools.h"

using namespace hard;

namespace {

void* doubles(void* argument) {
  return reinterpret_cast<void*>(2 * reinterpret_cast<intptr_t>(argument));
}

thread_local struct AtThreadEnd {
  const char* what = nullptr;
  ~AtThreadEnd() {
    if (what != nullptr) {
      say("thread_local %s\n", what);
    }
  }
} at_thread_end;

}  // namespace

HARD_CASE(a_region_makes_threads, "0 42\n0 44\n") {
  for (intptr_t i = 21; i < 23; ++i) {
    pthread_t thread;
    const int error = pthread_create(&thread, nullptr, doubles, number(i));
    in_engine(__LINE__);
    if (error == 0) {
      show_end(thread);
    }
  }
  in_engine(__LINE__);
  return 0;
}

REGION void* is_a_thread(void* argument) {
  at_thread_end.what = "end";
  in_engine(__LINE__);
  return doubles(argument);
}

HARD_CASE_OF(a_thread_is_a_region, "is_a_thread",
             "thread_local end\n0 10\nthread_local end\n0 12\n") {
  run(is_a_thread, number(5));
  run(is_a_thread, number(6));
  return 0;
}

namespace {

[[gnu::noinline]] void exits_below(intptr_t value) {
  const Says said{"exits_below"};
  pthread_exit(number(value));
}

}  // namespace

REGION void* exits(void*) {
  const Says said{"exits"};
  at_thread_end.what = "exits";
  pthread_cleanup_push([](void* what) { say("cleanup %s\n", static_cast<const char*>(what)); },
                       const_cast<char*>("first"));
  pthread_cleanup_push([](void* what) { say("cleanup %s\n", static_cast<const char*>(what)); },
                       const_cast<char*>("second"));
  in_engine(__LINE__);
  exits_below(3);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return nullptr;
}

HARD_CASE_OF(pthread_exit_unwinds_the_region, "exits",
             "~exits_below\ncleanup second\ncleanup first\n~exits\nthread_local exits\n0 3\n") {
  run(exits, nullptr);
  return 0;
}

// A thread lives on when the region that made it is rolled back, and so does what it was given.
namespace {

struct Given {
  int numbers[64];
};

std::atomic<long> sum;
int to_thread[2];  // the thread waits for a byte, as what the region remembers of it is rolled back

}  // namespace

REGION int gives_to_a_thread_and_fails() {
  auto* const mine = new Given;
  for (int i = 0; i < 64; ++i) {
    mine->numbers[i] = i;
  }
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        auto* const its = static_cast<Given*>(argument);
        char go;
        read(to_thread[0], &go, 1);
        for (const int n : its->numbers) {
          sum += n;
        }
        delete its;
        return nullptr;
      },
      mine);
  in_engine(__LINE__);
  return fail();
}

HARD_CASE_OF(a_thread_outlives_the_rollback, "gives_to_a_thread_and_fails", "2016\n") {
  pipe(to_thread);
  gives_to_a_thread_and_fails();
  auto* const other = new Given;  // not the same memory
  memset(static_cast<void*>(other), 0xee, sizeof *other);
  write(to_thread[1], "", 1);
  while (sum != 2016) {
    usleep(1000);
  }
  say("%ld\n", sum.load());
  return 0;
}

// Children of a process whose other threads were in the engine, decoding perhaps: they are alone
// with what those held.
namespace {

std::atomic<bool> enough;

}  // namespace

REGION int computes(int variant) {
  char text[64];
  snprintf(text, sizeof text, "%d %s %g", variant, variant % 2 == 0 ? "even" : "odd",
           variant * 0.5);
  return static_cast<int>(strlen(text)) + variant;
}

HARD_CASE_OF(children_of_busy_threads, "computes", "0 40\n") {
  pthread_t threads[3];
  for (pthread_t& thread : threads) {
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
          for (int i = 0; !enough; ++i) {
            computes(i % 1000);
          }
          return nullptr;
        },
        nullptr);
  }
  int well = 0;
  for (int i = 0; i < 40; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      char text[64];
      const int expected =
          snprintf(text, sizeof text, "%d %s %g", i, i % 2 == 0 ? "even" : "odd", i * 0.5) + i;
      _exit(computes(i) == expected ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    well += status == 0 ? 1 : 0;
  }
  enough = true;
  int bad = 0;
  for (const pthread_t thread : threads) {
    bad += pthread_join(thread, nullptr);
  }
  say("%d %d\n", bad, well);
  return 0;
}

// The first thread may end before the process does.
REGION int first_thread_exits() {
  const Says said{"first_thread_exits"};
  static pthread_t first = pthread_self();
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        show_end(first);
        _exit(9);
      },
      nullptr);
  in_engine(__LINE__);
  pthread_exit(number(4));
}

HARD_CASE_OF(the_first_thread_exits_in_a_region, "first_thread_exits", "~first_thread_exits\n0 4\n",
             .status = 9) {
  return first_thread_exits();
}
