// Signals that come while a region waits: in a system call, or in a library's code (issue 3, item
// 4).
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "test/hard_cases/signal_tools.h"
#include "test/hard_cases/subject.h"

using namespace hard;

HARD_CASE(interrupted_read_fails_with_eintr, "-1 EINTR, handled\n") {
  int ends[2];
  if (pipe(ends) != 0) {
    return 1;
  }
  handle(SIGUSR1, note);
  char byte;
  ssize_t got;
  int error;
  {
    const Sender sender(SIGUSR1, 5'000'000);
    errno = 0;
    got = read(ends[0], &byte, 1);
    error = errno;
  }
  in_engine(__LINE__);
  say("%zd %s, %s\n", got, error == EINTR ? "EINTR" : strerror(error),
      count > 0 ? "handled" : "not handled");
  return 0;
}

HARD_CASE(restarted_read_goes_on, "got x after its handler wrote it\n") {
  static int ends[2];
  if (pipe(ends) != 0) {
    return 1;
  }
  handle(
      SIGUSR1,
      [](int, siginfo_t*, void*) {
        if (++count == 3) {
          static_cast<void>(write(ends[1], "x", 1));
        }
      },
      SA_RESTART);
  char byte = '?';
  {
    const Sender sender(SIGUSR1, 2'000'000);
    if (read(ends[0], &byte, 1) != 1) {
      return 1;
    }
  }
  in_engine(__LINE__);
  say("got %c after its handler wrote it\n", byte);
  return 0;
}

HARD_CASE(waiting_calls_see_their_signals,
          "poll EINTR, nanosleep EINTR, sigsuspend EINTR, pause\n") {
  handle(SIGALRM, note, SA_RESTART);
  itimerval timer{};
  // Again and again, for a machine so busy that the first one comes before the wait has begun.
  timer.it_value.tv_usec = timer.it_interval.tv_usec = 100'000;
  setitimer(ITIMER_REAL, &timer, nullptr);
  const bool polled = poll(nullptr, 0, 10'000) == -1 && errno == EINTR;
  setitimer(ITIMER_REAL, &timer, nullptr);
  const timespec long_time{10, 0};
  timespec rest{};
  const bool slept = nanosleep(&long_time, &rest) == -1 && errno == EINTR && rest.tv_sec > 0;
  sigset_t alarm;
  sigset_t none;
  sigemptyset(&none);
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_BLOCK, &alarm, nullptr);
  setitimer(ITIMER_REAL, &timer, nullptr);
  const bool suspended = sigsuspend(&none) == -1 && errno == EINTR;
  sigset_t now;
  sigprocmask(SIG_UNBLOCK, &alarm, &now);
  setitimer(ITIMER_REAL, &timer, nullptr);
  const bool paused = pause() == -1 && count >= 4 && sigismember(&now, SIGALRM);
  timer = {};
  setitimer(ITIMER_REAL, &timer, nullptr);
  in_engine(__LINE__);
  say("poll %s, nanosleep %s, sigsuspend %s, %s\n", polled ? "EINTR" : "?", slept ? "EINTR" : "?",
      suspended ? "EINTR" : "?", paused ? "pause" : "?");
  return 0;
}

// The wait is a library's: its handler posts what it waits for.
HARD_CASE(handler_ends_a_semaphore_wait, "woken\n") {
  static sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  handle(
      SIGUSR1,
      [](int, siginfo_t*, void*) {
        if (++count == 2) {
          sem_post(&semaphore);
        }
      },
      SA_RESTART);
  const Sender sender(SIGUSR1, 2'000'000);
  while (sem_wait(&semaphore) != 0) {
  }
  in_engine(__LINE__);
  say("woken\n");
  return 0;
}

HARD_CASE(handler_runs_while_a_mutex_is_waited_for, "handled while waiting\n") {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static std::atomic<bool> locked;
  pthread_t holder;
  handle(SIGUSR1, note, SA_RESTART);
  pthread_create(
      &holder, nullptr,
      [](void*) -> void* {
        pthread_mutex_lock(&mutex);
        locked = true;
        while (count < 3) {  // which only the waiter's handler counts
          usleep(100);
        }
        pthread_mutex_unlock(&mutex);
        return nullptr;
      },
      nullptr);
  while (!locked) {
    usleep(100);
  }
  {
    const Sender sender(SIGUSR1, 1'000'000);
    pthread_mutex_lock(&mutex);
  }
  const int handled = count;
  pthread_mutex_unlock(&mutex);
  pthread_join(holder, nullptr);
  in_engine(__LINE__);
  say(handled >= 3 ? "handled while waiting\n" : "not handled\n");
  return 0;
}
