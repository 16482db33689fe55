// Handlers that recover by themselves, and what else a program notices of its signals.
#include <sys/wait.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

sigjmp_buf landing;
volatile int calls = 0;

void jump(int signal) {
  printf("signal %d, blocked inside: %s\n", signal, yes(blocked_now(signal)));
  siglongjmp(landing, 1);
}

}  // namespace

SCENARIO(file_cut_short_while_it_is_sent) {  // as lighttpd deals with it
  signal(SIGBUS, jump);
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      bus_error();
    } else {
      puts("error page");
    }
  }
  return 0;
}

SCENARIO(division_becomes_an_error) {  // as PostgreSQL deals with it
  struct sigaction action {};
  action.sa_handler = jump;
  action.sa_flags = SA_RESTART;
  sigaction(SIGFPE, &action, nullptr);
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      divide_by_zero();
    } else {
      puts("ERROR: division by zero");
    }
  }
  return 0;
}

namespace {

// A child sends the signal once we sleep in read, and then something to read.
int interrupted_read(int flags) {
  install(
      SIGFPE, [](int, siginfo_t*, void*) { puts("handler"); }, SA_SIGINFO | flags);
  int ends[2];
  pipe(ends);
  const pid_t reader = getpid();
  const pid_t child = fork();
  if (child == 0) {
    char path[64];
    char state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", reader);
    for (int i = 0; i < 5000 && state != 'S'; ++i) {
      usleep(1000);
      FILE* stat = fopen(path, "r");
      fscanf(stat, "%*d %*s %c", &state);
      fclose(stat);
    }
    kill(reader, SIGFPE);
    usleep(20000);
    write(ends[1], "x", 1);
    _exit(0);
  }
  char byte = 0;
  const long size = read(ends[0], &byte, 1);
  printf("read %ld %s\n", size, size < 0 ? strerrorname_np(errno) : "");
  waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace

SCENARIO(handler_interrupts_a_system_call) {
  return interrupted_read(0);
}

SCENARIO(handler_restarts_a_system_call) {
  return interrupted_read(SA_RESTART);
}

SCENARIO(errno_in_and_after_a_handler) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        printf("errno %d\n", errno);
        errno = 5;
        go_on_at_r15(context);
      },
      SA_SIGINFO);
  errno = 77;
  null_read();
  printf("errno %d\n", errno);
  return 0;
}

SCENARIO(handler_leaves_by_setcontext) {
  static ucontext_t back;
  install(
      SIGSEGV,
      [](int, siginfo_t*, void*) {
        calls = calls + 1;
        setcontext(&back);
      },
      SA_SIGINFO);
  getcontext(&back);
  if (calls < 3) {
    printf("blocked: %s\n", yes(blocked_now(SIGSEGV)));
    null_read();
  }
  return calls;
}
