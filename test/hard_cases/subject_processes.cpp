// Children that share memory with a region: vfork, posix_spawn, threads that libc knows nothing of.
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <wordexp.h>

#include "test/hard_cases/subject.h"
#include "test/hard_cases/wait_for_child.h"

using namespace hard;

extern char** environ;

namespace {

[[gnu::noinline]] pid_t vfork_and_exec(const char* program, const char* command) {
  const pid_t child = vfork();
  if (child == 0) {
    execlp(program, "sh", "-c", command, nullptr);
    _exit(127);
  }
  in_engine(__LINE__);
  return child;
}

}  // namespace

HARD_CASE(vfork_then_exec, "from a shell\n0\n9\n127\n") {
  say("%d\n", exit_status_of(vfork_and_exec("sh", "echo from a shell")));
  say("%d\n", exit_status_of(vfork_and_exec("sh", "exit 9")));
  say("%d\n", exit_status_of(vfork_and_exec("/nowhere", "")));
  return 0;
}

namespace {

volatile int seen_by_parent;

}  // namespace

REGION int writes_in_the_child(int value) {
  seen_by_parent = value;
  return value + 1;
}

REGION pid_t vforks() {
  const pid_t child = vfork();
  if (child == 0) {
    _exit(writes_in_the_child(5));
  }
  in_engine(__LINE__);
  return child;
}

// A region called in a vfork child runs in its parent's memory, whose engine is busy: natively.
HARD_CASE_OF(a_vfork_child_calls_a_region, "vforks writes_in_the_child", "6 5\n6 5\n") {
  for (int i = 0; i < 2; ++i) {
    seen_by_parent = 0;
    const int status = exit_status_of(vforks());
    say("%d %d\n", status, seen_by_parent);
  }
  return 0;
}

// The child ends inside a region that it entered itself, which must not count for the parent.
REGION void execs_in_the_child() {
  execlp("true", "true", nullptr);
  _exit(1);
}

REGION int afterwards() {
  in_engine(__LINE__);
  return 8;
}

HARD_CASE_OF(a_vfork_child_ends_inside_a_region, "execs_in_the_child afterwards", "0\n8\n") {
  const pid_t child = vfork();
  if (child == 0) {
    execs_in_the_child();
  }
  say("%d\n", exit_status_of(child));
  say("%d\n", afterwards());
  return 0;
}

HARD_CASE(posix_spawn_in_a_region, "from spawn\nstatus 0\nerror 2\n") {
  char name[] = "echo";
  char text[] = "from spawn";
  char* arguments[] = {name, text, nullptr};
  pid_t child = 0;
  if (posix_spawnp(&child, "echo", nullptr, nullptr, arguments, environ) == 0) {
    say("status %d\n", exit_status_of(child));
  }
  in_engine(__LINE__);
  say("error %d\n", posix_spawn(&child, "/nowhere", nullptr, nullptr, arguments, environ));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(system_in_a_region, "in a shell\n5\n") {
  const int status = system("echo in a shell; exit 5");
  in_engine(__LINE__);
  say("%d\n", WEXITSTATUS(status));
  return 0;
}

HARD_CASE(popen_in_a_region, "read this\n3\n") {
  FILE* pipe = popen("echo read this; exit 3", "r");
  char line[64] = "";
  fgets(line, sizeof line, pipe);
  const int status = pclose(pipe);
  in_engine(__LINE__);
  say("%s%d\n", line, WEXITSTATUS(status));
  return 0;
}

HARD_CASE(wordexp_in_a_region, "0 2 one two\n") {
  wordexp_t words{};
  const int error = wordexp("$(echo one two)", &words, 0);
  in_engine(__LINE__);
  say("%d %zu %s %s\n", error, words.we_wordc, words.we_wordv[0], words.we_wordv[1]);
  wordfree(&words);
  return 0;
}

// Threads that libc knows nothing of.
namespace {

alignas(16) char thread_stack[64 * 1024];
alignas(64) char thread_block[4096];
volatile int thread_saw;

int thread_main(void* argument) {
  thread_saw = *static_cast<int*>(argument) + 1;
  return 0;
}

}  // namespace

// The thread has a stack and a thread pointer of its own, and no libc: it only computes and ends.
HARD_CASE(raw_thread_with_its_own_tls, "22 11 33 44 55 66\n") {
  static volatile int word = 1;  // cleared by the kernel at the thread's end
  static volatile long registers[6];
  auto* const thread_pointer = reinterpret_cast<char**>(thread_block + 2048);
  *thread_pointer = reinterpret_cast<char*>(thread_pointer);
  const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                     CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID;
  long result = SYS_clone;
  register long r10 asm("r10") = reinterpret_cast<long>(&word);
  register char** r8 asm("r8") = thread_pointer;
  asm volatile(
      "push %%rbp\n\tmov $11, %%ebx\n\tmov $22, %%ebp\n\tmov $33, %%r12d\n\tmov $44, %%r13d\n\t"
      "mov $55, %%r14d\n\tmov $66, %%r15d\n\tsyscall\n\ttest %%eax, %%eax\n\tjnz 1f\n\t"
      "mov %%rbp, %[saved]\n\tmov %%rbx, 8+%[saved]\n\tmov %%r12, 16+%[saved]\n\tmov %%r13, "
      "24+%[saved]\n\t"
      "mov %%r14, 32+%[saved]\n\tmov %%r15, 40+%[saved]\n\t"
      "xor %%edi, %%edi\n\tmov $60, %%eax\n\tsyscall\n1:\tpop %%rbp"
      : "+a"(result)
      : "D"(flags), "S"(thread_stack + sizeof thread_stack), "d"(0L), "r"(r10),
        "r"(r8), [saved] "m"(registers)
      : "rbx", "r12", "r13", "r14", "r15", "rcx", "r11", "memory", "cc");
  while (word != 0) {
    sched_yield();
  }
  in_engine(__LINE__);
  say("%ld %ld %ld %ld %ld %ld\n", registers[0], registers[1], registers[2], registers[3],
      registers[4], registers[5]);
  return result > 0 ? 0 : 1;
}

// libc's clone(), waiting for the child as posix_spawn does.
HARD_CASE(clone_shares_memory_and_waits, "42 0\n") {
  int argument = 41;
  const pid_t child = clone(thread_main, thread_stack + sizeof thread_stack,
                            CLONE_VM | CLONE_VFORK | SIGCHLD, &argument);
  in_engine(__LINE__);
  const int status = exit_status_of(child);
  say("%d %d\n", thread_saw, status);
  return 0;
}

// A copy of the process on another stack is outside of the region at once; its parent is not.
HARD_CASE(clone_copies_to_another_stack, "0 7\n") {
  const pid_t child =
      clone([](void*) { return 7; }, thread_stack + sizeof thread_stack, SIGCHLD, nullptr);
  in_engine(__LINE__);
  const int status = exit_status_of(child);
  say("%d %d\n", thread_saw, status);
  return 0;
}

// Memory without a thread pointer of its own would be shared with the engine of a running thread.
HARD_CASE(clone_shares_memory_and_runs_on, "42 0\n", .leaves = true) {
  int argument = 41;
  const pid_t child =
      clone(thread_main, thread_stack + sizeof thread_stack, CLONE_VM | SIGCHLD, &argument);
  const int status = exit_status_of(child);
  say("%d %d\n", thread_saw, status);
  return 0;
}
