// What the application is told about dispositions it set, and what exec hands on.
#include <sys/wait.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

void handler(int) {}
void other(int, siginfo_t*, void*) {}

const char* name_of(const struct sigaction& action) {
  if (action.sa_handler == SIG_DFL) {
    return "default";
  }
  if (action.sa_handler == SIG_IGN) {
    return "ignored";
  }
  return action.sa_handler == handler ? "handler" : action.sa_sigaction == other ? "other" : "?";
}

const char* name_of(sighandler_t h) {
  struct sigaction action {};
  action.sa_handler = h;
  return h == SIG_ERR ? "error" : h == SIG_HOLD ? "hold" : name_of(action);
}

void print(const char* what, const struct sigaction& a) {
  unsigned long mask;
  memcpy(&mask, &a.sa_mask, sizeof mask);
  printf("%s: %s flags %x mask %lx restorer %s\n", what, name_of(a), a.sa_flags, mask,
         yes(a.sa_restorer != nullptr));
}

void ask(const char* what, int signal) {
  struct sigaction now {};
  const int result = sigaction(signal, nullptr, &now);
  print(what, now);
  if (result != 0) {
    perror(what);
  }
}

void exercise(int s) {
  printf("signal %d\n", s);
  ask("first", s);
  struct sigaction wanted {};
  struct sigaction before {};
  wanted.sa_sigaction = other;
  wanted.sa_flags = -1 & ~SA_NOCLDWAIT;
  memset(&wanted.sa_mask, 0xff, sizeof wanted.sa_mask);
  printf("%d\n", sigaction(s, &wanted, &before));
  print("before", before);
  ask("all flags", s);
  printf("%s\n", name_of(signal(s, handler)));
  ask("signal", s);
  printf("%s\n", name_of(sysv_signal(s, SIG_IGN)));
  ask("sysv_signal", s);
  printf("%d\n", siginterrupt(s, 1));
  ask("siginterrupt 1", s);
  printf("%s\n", name_of(signal(s, handler)));
  ask("signal, interrupting", s);
  siginterrupt(s, 0);
  ask("siginterrupt 0", s);
  printf("%s\n", name_of(ssignal(s, SIG_DFL)));
  printf("%s\n", name_of(sigset(s, SIG_HOLD)));
  printf("blocked %s\n", yes(blocked_now(s)));
  printf("%s\n", name_of(sigset(s, handler)));
  ask("sigset", s);
  printf("%s\n", name_of(sigset(s, SIG_HOLD)));
  sigrelse(s);
  printf("blocked %s\n", yes(blocked_now(s)));
  sighold(s);
  printf("blocked %s\n", yes(blocked_now(s)));
  sigrelse(s);
  printf("%d\n", sigignore(s));
  ask("sigignore", s);
  errno = 0;
  const auto refused = signal(s, SIG_ERR);
  printf("%s %d\n", name_of(refused), errno);
}

}  // namespace

SCENARIO(disposition_views) {
  for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGUSR1, SIGTRAP}) {
    exercise(s);
  }
  for (const int s : {0, 65, SIGKILL, -1}) {
    struct sigaction wanted {};
    wanted.sa_handler = SIG_IGN;
    errno = 0;
    const int result = sigaction(s, &wanted, nullptr);
    printf("%d: %d %d\n", s, result, errno);
  }
  return 0;
}

SCENARIO(show_inherited) {
  for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGUSR1}) {
    ask("inherited", s);
    printf("blocked %s\n", yes(blocked_now(s)));
  }
  return 0;
}

namespace {

void set_up_for_exec() {
  signal(SIGFPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGILL, handler);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGBUS);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

SCENARIO(exec_hands_on_what_is_ignored_and_blocked) {
  set_up_for_exec();
  execl("/proc/self/exe", "subject", "show_inherited", nullptr);
  return 1;
}

// The new program sees the kernel's state, without anybody in between.
SCENARIO(exec_hands_on_to_a_program_without_us) {
  set_up_for_exec();
  char* argv[] = {const_cast<char*>("subject"), const_cast<char*>("show_inherited"), nullptr};
  char* none[] = {nullptr};
  execve("/proc/self/exe", argv, none);
  return 1;
}

SCENARIO(exec_from_a_vfork_child_leaves_the_parent_alone) {
  signal(SIGSEGV, handler);
  signal(SIGFPE, SIG_IGN);
  const pid_t child = vfork();
  if (child == 0) {
    signal(SIGSEGV, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    execl("/proc/self/exe", "subject", "show_inherited", nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("status %x\n", status);
  ask("parent SEGV", SIGSEGV);
  ask("parent FPE", SIGFPE);
  printf("parent blocks %s\n", yes(blocked_now(SIGBUS)));
  return 0;
}

SCENARIO(failed_exec) {
  signal(SIGSEGV, handler);
  errno = 0;
  const int result = execl("/nowhere/at/all", "x", nullptr);
  printf("%d %s\n", result, strerrorname_np(errno));
  ask("after", SIGSEGV);
  return 0;
}
