// Regions that copy the process.
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"
#include "test/hard_cases/wait_for_child.h"

using namespace hard;

namespace {

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
