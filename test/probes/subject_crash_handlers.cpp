// Handlers that report a crash and then let the process die, as stock servers have them.
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

// Apache: SA_RESETHAND, then the default action and the signal again for the whole process.
void apache_handler(int sig) {
  puts("seg fault or similar nasty error detected");
  signal(sig, SIG_DFL);
  kill(getpid(), sig);
}

void set_up_apache() {
  struct sigaction action {};
  action.sa_handler = apache_handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int s : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE}) {
    sigaction(s, &action, nullptr);
  }
}

// redis: SA_NODEFER | SA_RESETHAND | SA_SIGINFO, a report that may itself crash, then again.
void redis_handler(int sig, siginfo_t*, void*) {
  puts("=== BUG REPORT ===");
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = static_cast<int>(SA_NODEFER | SA_ONSTACK | SA_RESETHAND);
  sigaction(sig, &action, nullptr);
  kill(getpid(), sig);
}

constexpr int redis_flags = static_cast<int>(SA_NODEFER | SA_RESETHAND | SA_SIGINFO);

void* null_write_on_thread(void*) {
  null_write();
  return nullptr;
}

void wait_for_thread(void* (*function)(void*)) {
  pthread_t thread;
  pthread_create(&thread, nullptr, function, nullptr);
  pthread_join(thread, nullptr);
}

pthread_barrier_t main_thread_is_ready;

void* null_write_beside(void*) {
  pthread_barrier_wait(&main_thread_is_ready);
  null_write();
  return nullptr;
}

// As a main thread whose worker does the work. It is to take signals: pthread_create blocks them.
[[noreturn]] void wait_beside_null_write() {
  pthread_t thread;
  pthread_barrier_init(&main_thread_is_ready, nullptr, 2);
  pthread_create(&thread, nullptr, null_write_beside, nullptr);
  pthread_barrier_wait(&main_thread_is_ready);
  for (;;) {
    poll(nullptr, 0, 10);
  }
}

}  // namespace

SCENARIO(crash_as_apache) {
  set_up_apache();
  null_read();
  return 0;
}

SCENARIO(crash_as_apache_on_a_thread) {
  set_up_apache();
  wait_for_thread(null_write_on_thread);
  return 0;
}

// The faulting thread is out of its handler again when somebody gets the signal.
SCENARIO(crash_handler_returns_on_a_thread) {
  install(
      SIGSEGV, [](int sig, siginfo_t*, void*) { signal(sig, SIG_DFL); }, SA_SIGINFO);
  wait_beside_null_write();
}

// It stays in there: only the other one can end the process.
SCENARIO(crash_handler_stays_on_a_thread) {
  install(
      SIGSEGV,
      [](int sig, siginfo_t*, void*) {
        signal(sig, SIG_DFL);
        kill(getpid(), sig);
        for (;;) {
          pause();
        }
      },
      SA_SIGINFO);
  wait_beside_null_write();
}

SCENARIO(crash_as_redis) {
  install(SIGSEGV, redis_handler, redis_flags);
  null_write();
  return 0;
}

SCENARIO(crash_as_redis_on_a_thread) {
  install(SIGSEGV, redis_handler, redis_flags);
  wait_for_thread(null_write_on_thread);
  return 0;
}

SCENARIO(crash_report_crashes) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void*) {
        puts("=== BUG REPORT ===");
        wild_read();
      },
      redis_flags);
  null_write();
  return 0;
}

SCENARIO(crash_report_crashes_while_blocked) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void*) {
        puts("report");
        wild_read();
      },
      SA_SIGINFO);
  null_write();
  return 0;
}

SCENARIO(crash_handler_returns_to_the_default) {
  install(
      SIGSEGV, [](int, siginfo_t*, void*) { puts("once"); },
      static_cast<int>(SA_SIGINFO | SA_RESETHAND));
  null_write();
  return 0;
}

SCENARIO(crash_handler_exits) {
  install(
      SIGSEGV, [](int, siginfo_t*, void*) { _exit(7); }, SA_SIGINFO);
  null_write();
  return 0;
}

SCENARIO(crash_handler_aborts) {
  install(
      SIGSEGV, [](int, siginfo_t*, void*) { abort(); }, SA_SIGINFO);
  null_write();
  return 0;
}

SCENARIO(crash_handler_starts_afresh) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void*) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        execl("/bin/true", "true", nullptr);
      },
      SA_SIGINFO);
  null_write();
  return 1;
}

SCENARIO(crash_handler_forks_a_reporter) {
  install(
      SIGSEGV,
      [](int sig, siginfo_t*, void*) {
        const pid_t child = fork();
        if (child == 0) {
          puts("reporter");
          _exit(0);
        }
        waitpid(child, nullptr, 0);
        signal(sig, SIG_DFL);
        raise(sig);
      },
      SA_SIGINFO);
  null_write();
  return 0;
}

SCENARIO(crash_handler_vforks_a_reporter) {
  install(
      SIGSEGV,
      [](int sig, siginfo_t*, void*) {
        const pid_t child = vfork();
        if (child == 0) {
          execl("/bin/echo", "echo", "reporter", nullptr);
          _exit(1);
        }
        waitpid(child, nullptr, 0);
        signal(sig, SIG_DFL);
        raise(sig);
      },
      SA_SIGINFO);
  null_write();
  return 0;
}

SCENARIO(recovered_long_ago) {
  static sigjmp_buf landing;
  signal(SIGSEGV, [](int) { siglongjmp(landing, 1); });
  if (sigsetjmp(landing, 1) == 0) {
    null_read();
  }
  puts("going on");
  exit(0);
}

SCENARIO(recovered_then_a_real_one) {
  static sigjmp_buf landing;
  signal(SIGSEGV, [](int) { siglongjmp(landing, 1); });
  if (sigsetjmp(landing, 1) == 0) {
    null_read();
  }
  signal(SIGSEGV, SIG_DFL);
  wild_read();
  return 0;
}
