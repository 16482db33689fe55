// Control that leaves frames behind: longjmp, exceptions, other stacks.
#include <exception>
#include <setjmp.h>
#include <signal.h>
#include <stdexcept>
#include <stdlib.h>
#include <string>
#include <ucontext.h>
#include <unistd.h>

#include "test/hard_cases/thread_tools.h"

using namespace hard;

HARD_CASE(longjmp_inside_a_region, "0 1 2\n") {
  jmp_buf here;
  volatile int seen = setjmp(here);
  static int times[3];
  times[seen] = seen;
  in_engine(__LINE__);
  if (seen < 2) {
    longjmp(here, seen + 1);
  }
  say("%d %d %d\n", times[0], times[1], times[2]);
  in_engine(__LINE__);
  return 0;
}

namespace {

jmp_buf outside;
sigjmp_buf outside_with_mask;

bool blocked(int signal) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

REGION void jumps_out(int value) {
  in_engine(__LINE__);
  longjmp(outside, value);
}

// Twice, for the second time finds the thread ready for regions again.
HARD_CASE_OF(longjmp_out_of_a_region, "jumps_out", "came back with 1\ncame back with 2\n") {
  volatile int times = 0;
  const int value = setjmp(outside);
  if (value != 0) {
    say("came back with %d\n", value);
  }
  if (times < 2) {
    times = times + 1;
    jumps_out(times);
  }
  return 0;
}

REGION void jumps_out_with_mask() {
  block(SIGUSR1);
  in_engine(__LINE__);
  siglongjmp(outside_with_mask, 1);
}

HARD_CASE_OF(siglongjmp_out_of_a_region_restores_the_mask, "jumps_out_with_mask", "0\n") {
  if (sigsetjmp(outside_with_mask, 1) == 0) {
    jumps_out_with_mask();
  }
  say("%d\n", blocked(SIGUSR1));
  return 0;
}

namespace {

[[gnu::noinline]] void throws(int value) {
  const Says said{"throws"};
  throw value;
}

}  // namespace

HARD_CASE(an_exception_inside_a_region, "~throws\ncaught 5\n~body\n") {
  const Says said{"body"};
  try {
    throws(5);
  } catch (int value) {
    say("caught %d\n", value);
  }
  in_engine(__LINE__);
  return 0;
}

REGION int throws_out(int value) {
  const Says said{"throws_out"};
  in_engine(__LINE__);
  throws(value);
  return 1;
}

HARD_CASE_OF(an_exception_leaves_a_region, "throws_out",
             "~throws\n~throws_out\ncaught 3\n~throws\n~throws_out\ncaught 4\n") {
  for (int i = 3; i < 5; ++i) {
    try {
      throws_out(i);
    } catch (int value) {
      say("caught %d\n", value);
    }
  }
  return 0;
}

REGION int passes_through(int (*callee)(int)) {
  const Says said{"passes_through"};
  in_engine(__LINE__);
  return callee(9);
}

// The middle one of three is the region: thrown below it, caught above it, and rethrown.
HARD_CASE_OF(an_exception_passes_through_a_region, "passes_through",
             "~passes_through\ncaught text\ncaught again\n") {
  try {
    try {
      passes_through([](int) -> int { throw std::runtime_error("text"); });
    } catch (const std::exception& e) {
      say("caught %s\n", e.what());
      throw;
    }
  } catch (const std::runtime_error&) {
    say("caught again\n");
  }
  return 0;
}

HARD_CASE(exceptions_nest_in_a_region, "~throws\n~throws_out\ninner 2\nouter 1\n0\n") {
  try {
    try {
      throws_out(1);
    } catch (int) {
      try {
        throw std::string("x");
      } catch (const std::string& s) {
        say("inner %zu\n", s.size() + 1);
      }
      throw;
    }
  } catch (int value) {
    say("outer %d\n", value);
  }
  say("%d\n", std::uncaught_exceptions());
  in_engine(__LINE__);
  return 0;
}

namespace {

void breaks_promise() noexcept {
  throws(1);
}

}  // namespace

REGION void terminates() {
  std::set_terminate([] {
    say("terminate, %d\n", std::current_exception() != nullptr);
    in_engine(__LINE__);
    _exit(7);
  });
  breaks_promise();
}

HARD_CASE_OF(noexcept_ends_in_terminate, "terminates", "~throws\nterminate, 1\n", .status = 7) {
  terminates();
  return 0;
}

REGION void aborts_uncaught() {
  in_engine(__LINE__);
  throws(1);
}

// With a handler for it, or else the engine would foresee the abort and heal it.
HARD_CASE_OF(an_uncaught_exception_aborts, "aborts_uncaught", "handler 6\n", .signal = SIGABRT) {
  signal(SIGABRT, [](int number) { say("handler %d\n", number); });
  aborts_uncaught();
  return 0;
}

// Other stacks.
namespace {

ucontext_t main_context;
ucontext_t coroutine_context;
alignas(16) char coroutine_stack[64 * 1024];
int handed_over;

void coroutine() {
  for (int i = 0; i < 3; ++i) {
    handed_over = i;
    swapcontext(&coroutine_context, &main_context);
  }
}

void make_coroutine() {
  getcontext(&coroutine_context);
  coroutine_context.uc_stack = {coroutine_stack, 0, sizeof coroutine_stack};
  coroutine_context.uc_link = &main_context;
  makecontext(&coroutine_context, coroutine, 0);
}

}  // namespace

REGION int drives_a_coroutine() {
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    handed_over = 100;
    swapcontext(&main_context, &coroutine_context);
    sum += handed_over;
  }
  return sum;
}

HARD_CASE_OF(a_region_drives_a_coroutine, "drives_a_coroutine", "103\n103\n") {
  for (int i = 0; i < 2; ++i) {
    make_coroutine();
    say("%d\n", drives_a_coroutine());
  }
  return 0;
}

// The coroutine is the region: it is entered on one stack and leaves for the other in its middle.
REGION void yields_in_a_region() {
  handed_over = 1;
  in_engine(__LINE__);
  swapcontext(&coroutine_context, &main_context);
  handed_over = 2;
}

HARD_CASE_OF(swapcontext_out_of_a_region, "yields_in_a_region", "1\n2\n") {
  getcontext(&coroutine_context);
  coroutine_context.uc_stack = {coroutine_stack, 0, sizeof coroutine_stack};
  coroutine_context.uc_link = &main_context;
  makecontext(&coroutine_context, yields_in_a_region, 0);
  swapcontext(&main_context, &coroutine_context);
  say("%d\n", handed_over);
  swapcontext(&main_context, &coroutine_context);
  say("%d\n", handed_over);
  return 0;
}

REGION void sets_context_out() {
  block(SIGUSR2);
  in_engine(__LINE__);
  setcontext(&main_context);
}

HARD_CASE_OF(setcontext_out_of_a_region, "sets_context_out", "again 1\nagain 2\n0\n") {
  static volatile int times;
  getcontext(&main_context);
  if (times > 0) {
    say("again %d\n", times);
  }
  if (times < 2) {
    times = times + 1;
    sets_context_out();
  }
  say("%d\n", blocked(SIGUSR2));
  return 0;
}
