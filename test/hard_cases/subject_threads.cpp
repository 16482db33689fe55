// Threads that begin, end and are cancelled inside regions.
#include <atomic>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

struct Says {
  const char* what;
  ~Says() { say("~%s\n", what); }
};

void* doubles(void* argument) {
  return reinterpret_cast<void*>(2 * reinterpret_cast<intptr_t>(argument));
}

void* number(intptr_t value) {
  return reinterpret_cast<void*>(value);
}

// Joins it and tells how it ended.
void show_end(pthread_t thread) {
  void* result = nullptr;
  const int error = pthread_join(thread, &result);
  if (result == PTHREAD_CANCELED) {
    say("%d cancelled\n", error);
  } else {
    say("%d %td\n", error, reinterpret_cast<intptr_t>(result));
  }
}

void run(void* (*routine)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, routine, argument) == 0) {
    show_end(thread);
  }
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

REGION void* cancels_itself(void*) {
  const Says said{"cancels_itself"};
  pthread_cancel(pthread_self());
  in_engine(__LINE__);
  pthread_testcancel();
  say("not reached\n");
  return nullptr;
}

HARD_CASE_OF(a_thread_cancels_itself, "cancels_itself", "~cancels_itself\n0 cancelled\n") {
  run(cancels_itself, nullptr);
  return 0;
}

REGION void* cancels_itself_at_once(void*) {
  const Says said{"cancels_itself_at_once"};
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
  in_engine(__LINE__);
  pthread_cancel(pthread_self());
  say("not reached\n");
  return nullptr;
}

HARD_CASE_OF(a_thread_cancels_itself_at_once, "cancels_itself_at_once",
             "~cancels_itself_at_once\n0 cancelled\n") {
  run(cancels_itself_at_once, nullptr);
  return 0;
}

// Cancelled by another thread while they wait inside calls that are made natively as a whole: libc
// has something to clean up before the application has.
namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
sem_t semaphore;

// Waits until the kernel says that the thread with this id sleeps.
void wait_until_asleep(pid_t thread) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  for (int i = 0; i < 5000; ++i) {
    char text[256] = "";
    FILE* const file = fopen(path, "r");
    if (file != nullptr) {
      fgets(text, sizeof text, file);
      fclose(file);
    }
    const char* const state = strrchr(text, ')');
    if (state != nullptr && state[2] == 'S') {
      return;
    }
    usleep(1000);
  }
}

std::atomic<pid_t> waiter;

void cancel_while_waiting(void* (*routine)(void*)) {
  waiter = 0;
  pthread_t thread;
  pthread_create(&thread, nullptr, routine, nullptr);
  while (waiter == 0) {
    usleep(1000);
  }
  wait_until_asleep(waiter);
  pthread_cancel(thread);
  show_end(thread);
}

}  // namespace

REGION void* waits_for_a_condition(void*) {
  const Says said{"waits_for_a_condition"};
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push([](void*) { say("unlock %d\n", pthread_mutex_unlock(&mutex)); }, nullptr);
  in_engine(__LINE__);
  waiter = gettid();
  for (;;) {
    pthread_cond_wait(&condition, &mutex);
  }
  pthread_cleanup_pop(1);
  return nullptr;
}

HARD_CASE_OF(a_thread_is_cancelled_in_cond_wait, "waits_for_a_condition",
             "unlock 0\n~waits_for_a_condition\n0 cancelled\n") {
  // An error-checking mutex knows whether the wait gave it back to the thread.
  pthread_mutexattr_t checking;
  pthread_mutexattr_init(&checking);
  pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&mutex, &checking);
  cancel_while_waiting(waits_for_a_condition);
  return 0;
}

REGION void* waits_for_a_semaphore(void*) {
  const Says said{"waits_for_a_semaphore"};
  in_engine(__LINE__);
  waiter = gettid();
  sem_wait(&semaphore);
  return nullptr;
}

HARD_CASE_OF(a_thread_is_cancelled_in_sem_wait, "waits_for_a_semaphore",
             "~waits_for_a_semaphore\n0 cancelled\n") {
  sem_init(&semaphore, 0, 0);
  cancel_while_waiting(waits_for_a_semaphore);
  return 0;
}

REGION void* waits_for_a_thread(void* thread) {
  const Says said{"waits_for_a_thread"};
  in_engine(__LINE__);
  waiter = gettid();
  pthread_join(*static_cast<pthread_t*>(thread), nullptr);
  return nullptr;
}

HARD_CASE_OF(a_thread_is_cancelled_in_join, "waits_for_a_thread",
             "~waits_for_a_thread\n0 cancelled\n") {
  static pthread_t first = pthread_self();
  cancel_while_waiting([](void*) { return waits_for_a_thread(&first); });
  return 0;
}

// A thread whose region was left by cancellation is protected like any other until it ends.
REGION void* returns_five(void*) {
  in_engine(__LINE__);
  return number(5);
}

HARD_CASE_OF(regions_after_a_cancelled_thread, "waits_for_a_semaphore returns_five",
             "~waits_for_a_semaphore\n0 cancelled\n0 5\n") {
  sem_init(&semaphore, 0, 0);
  cancel_while_waiting(waits_for_a_semaphore);
  run(returns_five, nullptr);
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
