// Regions that make, become and end processes.
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "test/hard_cases/subject.h"

using namespace hard;

extern char** environ;

namespace {

int exit_status_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int both = 1;

// Goes on in both processes: the child's end tells what it saw.
int continue_in_both(pid_t child) {
  in_engine(__LINE__);
  if (child == 0) {
    both += 40;
    in_engine(__LINE__);
    _exit(both);
  }
  both += 1;
  const int status = exit_status_of(child);
  in_engine(__LINE__);
  say("child %d, parent %d\n", status, both);
  return 0;
}

}  // namespace

HARD_CASE(fork_goes_on_in_both, "child 41, parent 2\n") {
  return continue_in_both(fork());
}

HARD_CASE(raw_fork_goes_on_in_both, "child 41, parent 2\n") {
  return continue_in_both(static_cast<pid_t>(syscall(SYS_fork)));
}

HARD_CASE(raw_clone_goes_on_in_both, "child 41, parent 2\n") {
  return continue_in_both(static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
}

HARD_CASE(clone3_goes_on_in_both, "child 41, parent 2\n") {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  return continue_in_both(static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments)));
}

// Parent and child each roll back what they did themselves.
namespace {

int written = 1;

}  // namespace

REGION int forks_and_fails() {
  written = 2;
  const pid_t child = fork();
  written = child == 0 ? 3 : 4;
  in_engine(__LINE__);
  return fail();
}

HARD_CASE_OF(both_sides_of_a_fork_heal, "forks_and_fails", "child 1\nparent 1\n") {
  const pid_t parent = getpid();
  forks_and_fails();
  as_rolled_back([] { written = 1; });
  if (getpid() != parent) {
    say("child %d\n", written);
    _exit(0);
  }
  exit_status_of(-1);
  say("parent %d\n", written);
  return 0;
}

// New code, with instructions that no parent has decoded, in parent and child at the same time:
// what they generate for it must not be shared.
REGION int forks_and_computes() {
  const pid_t child = fork();
  long sum = 0;
  for (long i = 0; i < 1000; ++i) {
    double x = static_cast<double>(i);
    if (child == 0) {
      asm("sqrtsd %0, %0\n\tmulsd %0, %0\n\taddsd %0, %0" : "+x"(x));
    } else {
      asm("addsd %0, %0\n\tsubsd %1, %0\n\tminsd %1, %0" : "+x"(x) : "x"(7.0));
    }
    sum += static_cast<long>(x + 0.25);
  }
  in_engine(__LINE__);
  if (child == 0) {
    _exit(sum == 2 * 999 * 1000 / 2 ? 3 : 4);
  }
  return exit_status_of(child) == 3 && sum == 6948 ? 0 : static_cast<int>(sum);
}

HARD_CASE_OF(fork_divides_the_generated_code, "forks_and_computes", "0\n") {
  say("%d\n", forks_and_computes());
  return 0;
}

HARD_CASE(atfork_handlers_run_in_the_region, "prepare\nparent\n1 1 0\nchild 1 0 1\n") {
  static int prepared;
  static int in_parent;
  static int in_child;
  pthread_atfork(
      [] {
        ++prepared;
        in_engine(__LINE__);
        say("prepare\n");
      },
      [] {
        ++in_parent;
        say("parent\n");
      },
      [] { ++in_child; });
  int ends[2];
  pipe(ends);
  const pid_t child = fork();
  if (child == 0) {
    in_engine(__LINE__);
    char go;
    close(ends[1]);
    read(ends[0], &go, 1);
    say("child %d %d %d\n", prepared, in_parent, in_child);
    _exit(0);
  }
  say("%d %d %d\n", prepared, in_parent, in_child);
  close(ends[1]);
  exit_status_of(child);
  in_engine(__LINE__);
  return 0;
}

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

HARD_CASE(clone3_gives_a_pidfd, "0 1\n") {
  int descriptor = -1;
  pid_t told = 0;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
  arguments.pidfd = reinterpret_cast<uint64_t>(&descriptor);
  arguments.parent_tid = reinterpret_cast<uint64_t>(&told);
  arguments.exit_signal = SIGCHLD;
  const pid_t child = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child == 0) {
    _exit(0);
  }
  in_engine(__LINE__);
  siginfo_t info{};
  const int error = waitid(P_PIDFD, static_cast<id_t>(descriptor), &info, WEXITED);
  say("%d %d\n", error, told == child && info.si_pid == child);
  return 0;
}

// Becoming another program, or failing to.
HARD_CASE(exec_in_a_region, "from exec\n") {
  in_engine(__LINE__);
  execlp("echo", "echo", "from exec", nullptr);
  return 1;
}

HARD_CASE(exec_fails_and_the_region_goes_on,
          "-1 No such file or directory\n-1 Permission denied\n") {
  char name[] = "x";
  char* arguments[] = {name, nullptr};
  const int missing = execv("/nowhere", arguments);
  say("%d %s\n", missing, strerror(errno));
  in_engine(__LINE__);
  const int directory = execve("/", arguments, environ);
  say("%d %s\n", directory, strerror(errno));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(fexecve_in_a_region, "from a descriptor\n") {
  FILE* const program = fopen("/bin/echo", "re");
  char name[] = "echo";
  char text[] = "from a descriptor";
  char* arguments[] = {name, text, nullptr};
  in_engine(__LINE__);
  fexecve(fileno(program), arguments, environ);
  return 1;
}

// What the region closed and holds back is closed before the other program sees it.
HARD_CASE(exec_after_close, "closed\n") {
  close(STDERR_FILENO);
  in_engine(__LINE__);
  execlp("sh", "sh", "-c", "if [ -e /proc/self/fd/2 ]; then echo open; else echo closed; fi",
         nullptr);
  return 1;
}

// Ending.
namespace {

struct AtEnd {
  ~AtEnd() {
    if (armed) {
      say("static destructor\n");
    }
  }
  bool armed = false;
} at_end;

}  // namespace

HARD_CASE(exit_runs_handlers_in_the_region, "handler\nstatic destructor\nbuffered\n", .status = 4) {
  at_end.armed = true;
  atexit([] {
    in_engine(__LINE__);
    say("handler\n");
  });
  printf("buffered\n");
  exit(4);
}

HARD_CASE(underscore_exit_in_a_region, "", .status = 5) {
  atexit([] { say("handler\n"); });
  in_engine(__LINE__);
  _exit(5);
}

HARD_CASE(quick_exit_runs_its_own_handlers, "quick\n", .status = 6) {
  atexit([] { say("handler\n"); });
  at_quick_exit([] {
    in_engine(__LINE__);
    say("quick\n");
  });
  quick_exit(6);
}

HARD_CASE(abort_in_a_region, "", .signal = SIGABRT) {
  in_engine(__LINE__);
  abort();
}

HARD_CASE(abort_with_a_handler, "handler 6\n", .signal = SIGABRT) {
  signal(SIGABRT, [](int number) { say("handler %d\n", number); });
  in_engine(__LINE__);
  abort();
}

HARD_CASE(a_signal_kills_in_a_region, "", .signal = SIGTERM) {
  in_engine(__LINE__);
  raise(SIGTERM);
  return 1;
}
