// Regions in which the program becomes another one, or ends.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"

using namespace hard;

extern char** environ;

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
