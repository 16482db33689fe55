// Ways to die, on the first thread and on another one.
#include <pthread.h>
#include <sys/wait.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

template <int (*Fault)()>
void* on_thread(void*) {
  Fault();
  return nullptr;
}

template <int (*Fault)()>
int in_thread() {
  pthread_t thread;
  pthread_create(&thread, nullptr, on_thread<Fault>, nullptr);
  pthread_join(thread, nullptr);
  return 0;
}

int deep() {
  return overflow_stack(0);
}

template <int Signal>
int raised() {
  raise(Signal);
  return 0;
}

template <int Signal>
int killed() {
  kill(getpid(), Signal);
  return 0;
}

}  // namespace

#define DEATH(name, function)     \
  SCENARIO(name) {                \
    return function();            \
  }                               \
  SCENARIO(name##_on_a_thread) {  \
    return in_thread<function>(); \
  }

DEATH(die_null_read, null_read)
DEATH(die_null_write, null_write)
DEATH(die_wild, wild_read)
DEATH(die_divide, divide_by_zero)
DEATH(die_illegal, illegal_instruction)
DEATH(die_bus, bus_error)
DEATH(die_data_executed, jump_to_data)
DEATH(die_nowhere_executed, jump_to_nowhere)
DEATH(die_floating_point, floating_point_error)
DEATH(die_stack, deep)
DEATH(die_raise_segv, raised<SIGSEGV>)
DEATH(die_raise_ill, raised<SIGILL>)
DEATH(die_kill_fpe, killed<SIGFPE>)
DEATH(die_kill_bus, killed<SIGBUS>)

SCENARIO(die_queued_value) {
  sigval value{};
  value.sival_int = 4711;
  sigqueue(getpid(), SIGSEGV, value);
  return 0;
}

SCENARIO(die_blocked) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  return null_read();
}

SCENARIO(die_ignored) {
  signal(SIGFPE, SIG_IGN);
  return divide_by_zero();
}

SCENARIO(die_after_default_came_back) {
  signal(SIGSEGV, SIG_IGN);
  signal(SIGSEGV, SIG_DFL);
  return null_write();
}

SCENARIO(die_in_fork_child) {
  const pid_t child = fork();
  if (child == 0) {
    null_read();
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("status %x\n", status);
  return 0;
}

SCENARIO(die_in_vfork_child) {
  const pid_t child = vfork();
  if (child == 0) {
    null_read();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("status %x\n", status);
  return 0;
}

SCENARIO(die_breakpoint) {
  asm volatile("mov $0x1122334455667788, %%r12; int3" ::: "r12");
  return 3;
}

SCENARIO(breakpoints_while_blocked) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  int sum = 0;
  for (int i = 0; i < 100; ++i) {
    int one = 0;
    asm volatile("lea 1f(%%rip), %%r15; int3; ud2; 1: mov $1, %0" : "=r"(one)::"r15");
    sum += one;
  }
  printf("%d, blocked %s\n", sum, yes(blocked_now(SIGTRAP)));
  return 0;
}

SCENARIO(resume_after_faults) {
  int sum = 0;
  for (int i = 0; i < 100; ++i) {
    sum += null_read() + null_write() + wild_read() + divide_by_zero() + illegal_instruction() +
           jump_to_data();
  }
  printf("%d\n", sum);
  return 0;
}
