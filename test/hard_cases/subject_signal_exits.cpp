// Signal handlers that do not return to the region they interrupted (issue 3, items 4 and 5).
#include <semaphore.h>
#include <setjmp.h>
#include <sys/time.h>
#include <unistd.h>

#include "test/hard_cases/signal_tools.h"
#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

sigjmp_buf back;

void arm(long microseconds) {
  itimerval timer{};
  timer.it_value.tv_usec = microseconds;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

void jump_back(int, siginfo_t*, void*) {
  siglongjmp(back, 1);
}

struct Alarm {};

}  // namespace

REGION int spin_until_left() {
  in_engine(__LINE__);
  for (std::atomic<uint64_t> i = 0;; i.fetch_add(1, std::memory_order_relaxed)) {
  }
}

REGION int wait_until_left(const sem_t* semaphore) {
  in_engine(__LINE__);
  for (;;) {
    sem_wait(const_cast<sem_t*>(semaphore));
  }
}

// Into the region's own frame: from there on it is native.
HARD_CASE(handler_jumps_within_the_region, "jumped 10 times\n", .leaves = true) {
  handle(SIGALRM, jump_back);
  volatile int jumps = 0;
  if (sigsetjmp(back, 1) != 0) {
    jumps = jumps + 1;
  }
  if (jumps < 10) {
    arm(1000);
  }
  while (jumps < 10) {
  }
  say("jumped %d times\n", static_cast<int>(jumps));
  return 0;
}

// After the jump the thread is as protected as before: the region's next call is in the engine.
HARD_CASE_OF(handler_jumps_out_of_the_region, "spin_until_left", "out 10 times\n") {
  handle(SIGALRM, jump_back);
  volatile int out = 0;
  while (out < 10) {
    if (sigsetjmp(back, 1) == 0) {
      arm(3000);
      spin_until_left();
    }
    out = out + 1;
  }
  say("out %d times\n", static_cast<int>(out));
  return 0;
}

HARD_CASE_OF(handler_jumps_out_of_a_wait, "wait_until_left", "out 5 times\n") {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  handle(SIGALRM, jump_back);
  volatile int out = 0;
  while (out < 5) {
    if (sigsetjmp(back, 1) == 0) {
      arm(3000);
      wait_until_left(&semaphore);
    }
    out = out + 1;
  }
  say("out %d times\n", static_cast<int>(out));
  return 0;
}

HARD_CASE_OF(handler_on_an_alternate_stack_jumps, "spin_until_left", "out 5 times\n") {
  static char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  handle(SIGALRM, jump_back, SA_ONSTACK);
  volatile int out = 0;
  while (out < 5) {
    if (sigsetjmp(back, 1) == 0) {
      arm(3000);
      spin_until_left();
    }
    out = out + 1;
  }
  say("out %d times\n", static_cast<int>(out));
  return 0;
}

REGION int spin_in_raise() {
  in_engine(__LINE__);
  // By a pointer: raise is declared not to throw, but here it does.
  int (*volatile send)(int) = raise;
  send(SIGUSR1);
  return 0;
}

// The unwinder walks from the handler over its frame into the region's callers.
HARD_CASE_OF(handler_throws_through_the_region, "spin_in_raise", "caught 5 times\n") {
  handle(
      SIGUSR1, [](int, siginfo_t*, void*) { throw Alarm{}; }, SA_NODEFER);
  int caught = 0;
  for (int i = 0; i < 5; ++i) {
    try {
      spin_in_raise();
    } catch (const Alarm&) {
      ++caught;
    }
  }
  say("caught %d times\n", caught);
  return 0;
}

// A scheduler: the handler leaves by setcontext, for good.
HARD_CASE_OF(handler_leaves_by_setcontext, "spin_until_left", "out 5 times\n") {
  static ucontext_t outside;
  handle(SIGALRM, [](int, siginfo_t*, void*) { setcontext(&outside); });
  volatile int out = -1;
  getcontext(&outside);
  out = out + 1;
  if (out < 5) {
    arm(3000);
    spin_until_left();
  }
  say("out %d times\n", static_cast<int>(out));
  return 0;
}

namespace {

std::atomic<bool> ready;  // to be cancelled

void* spin_in_thread(void*) {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
  ready = true;
  spin_until_left();
  return nullptr;
}

void* read_in_thread(void* pipe_end) {
  char byte;
  for (;;) {
    static_cast<void>(read(*static_cast<int*>(pipe_end), &byte, 1));
  }
}

REGION void* read_until_cancelled(void* pipe_end) {
  in_engine(__LINE__);
  pthread_cleanup_push([](void*) { ++count; }, nullptr);
  ready = true;
  read_in_thread(pipe_end);
  pthread_cleanup_pop(0);
  return nullptr;
}

bool cancel_soon(pthread_t thread) {
  while (!ready.exchange(false)) {
    usleep(1000);
  }
  usleep(5000);
  void* result = nullptr;
  return pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 &&
         result == PTHREAD_CANCELED;
}

}  // namespace

HARD_CASE_OF(asynchronous_cancellation, "spin_until_left", "cancelled 3\n") {
  int cancelled = 0;
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, spin_in_thread, nullptr);
    cancelled += cancel_soon(thread);
  }
  say("cancelled %d\n", cancelled);
  return 0;
}

HARD_CASE_OF(cancellation_of_a_read, "read_until_cancelled", "cancelled 3, cleaned up 3\n") {
  int ends[2];
  if (pipe(ends) != 0) {
    return 1;
  }
  int cancelled = 0;
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, read_until_cancelled, &ends[0]);
    cancelled += cancel_soon(thread);
  }
  say("cancelled %d, cleaned up %d\n", cancelled, count.load());
  return 0;
}
