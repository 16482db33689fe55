// Threads that are cancelled inside regions.
#include <atomic>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/hard_cases/thread_tools.h"

using namespace hard;

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
