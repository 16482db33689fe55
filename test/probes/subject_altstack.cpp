// Alternate stacks of the application's.
#include <pthread.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

char area[65536] __attribute__((aligned(64)));
sigjmp_buf landing;

bool on_area(const void* p) {
  return p >= area && p < area + sizeof area;
}

void show(const char* what) {
  stack_t now{};
  const int result = sigaltstack(nullptr, &now);
  printf("%s: %d %s flags %d size %zu\n", what, result,
         now.ss_sp == nullptr ? "none" : (now.ss_sp == area ? "area" : "other"), now.ss_flags,
         now.ss_size);
}

void set(size_t size, int flags = 0) {
  stack_t wanted{};
  wanted.ss_sp = area;
  wanted.ss_size = size;
  wanted.ss_flags = flags;
  errno = 0;
  const int result = sigaltstack(&wanted, nullptr);
  printf("set: %d %s\n", result, result != 0 ? strerrorname_np(errno) : "");
}

void where(int signal, siginfo_t*, void* context) {
  int local;
  const auto& saved = static_cast<ucontext_t*>(context)->uc_stack;
  printf("signal %d on area: %s, saved flags %d size %zu\n", signal, yes(on_area(&local)),
         saved.ss_flags, saved.ss_size);
  show("inside");
  set(sizeof area, SS_DISABLE);
  if (signal != SIGUSR1) {
    go_on_at_r15(context);
  }
}

void jump(int) {
  int local;
  printf("on area: %s\n", yes(on_area(&local)));
  siglongjmp(landing, 1);
}

}  // namespace

SCENARIO(alternate_stack_views) {
  show("first");
  set(16);
  set(sizeof area);
  show("set");
  set(sizeof area / 2);
  show("changed");
  set(0, SS_DISABLE);
  show("disabled");
  set(sizeof area, 0x40);
  show("bad flags");
  return 0;
}

SCENARIO(handler_on_alternate_stack) {
  set(sizeof area);
  install(SIGSEGV, where, SA_SIGINFO | SA_ONSTACK);
  null_read();
  null_read();
  show("after");
  return 0;
}

SCENARIO(handler_beside_alternate_stack) {
  set(sizeof area);
  install(SIGSEGV, where, SA_SIGINFO);
  install(SIGUSR1, where, SA_SIGINFO);
  null_read();
  show("after");
  raise(SIGUSR1);
  return 0;
}

SCENARIO(handler_wants_alternate_stack_there_is_none) {
  install(SIGSEGV, where, SA_SIGINFO | SA_ONSTACK);
  null_read();
  show("after");
  return 0;
}

SCENARIO(small_alternate_stack) {
  const auto smallest = static_cast<size_t>(sysconf(_SC_SIGSTKSZ));
  set(smallest + 4096);
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        int local;
        char text[] = "on area: ?\n";
        text[9] = on_area(&local) ? 'y' : 'n';
        write(1, text, sizeof text - 1);
        go_on_at_r15(context);
      },
      SA_SIGINFO | SA_ONSTACK);
  for (int i = 0; i < 3; ++i) {
    null_read();
  }
  return 0;
}

SCENARIO(stack_overflow_with_alternate_stack) {
  set(sizeof area);
  struct sigaction action {};
  action.sa_handler = jump;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      overflow_stack(0);
    } else {
      puts("recovered");
    }
  }
  return 0;
}

SCENARIO(stack_overflow_without_alternate_stack) {
  signal(SIGSEGV, jump);
  if (sigsetjmp(landing, 1) == 0) {
    overflow_stack(0);
  }
  return 0;
}

namespace {

void* stack_overflow_thread(void*) {
  return reinterpret_cast<void*>(static_cast<long>(scenario_stack_overflow_with_alternate_stack()));
}

}  // namespace

SCENARIO(stack_overflow_with_alternate_stack_on_a_thread) {
  pthread_t thread;
  pthread_create(&thread, nullptr, stack_overflow_thread, nullptr);
  pthread_join(thread, nullptr);
  return 0;
}

namespace {

void user_handler(int, siginfo_t*, void*) {
  char room[200 * 1024];  // more than our alternate stack holds
  memset(room, 1, sizeof room);
  stack_t now{};
  sigaltstack(nullptr, &now);
  printf("%d, on area %s, flags %d\n", room[1000], yes(on_area(room)), now.ss_flags);
}

void small_user_handler(int, siginfo_t*, void*) {
  int local;
  printf("on area %s\n", yes(on_area(&local)));
}

void show_flags(int signal) {
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  printf("wants alternate stack: %s\n", yes(now.sa_flags & SA_ONSTACK));
}

}  // namespace

SCENARIO(other_signals_and_alternate_stacks) {
  install(SIGUSR1, user_handler, SA_SIGINFO | SA_ONSTACK);
  show_flags(SIGUSR1);
  raise(SIGUSR1);
  install(SIGUSR2, small_user_handler, SA_SIGINFO | SA_ONSTACK);
  set(sizeof area);
  raise(SIGUSR2);
  show_flags(SIGUSR2);
  return 0;
}
