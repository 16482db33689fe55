// Who sent a SIGABRT: real signals, and what the handler is told of them.
#include <atomic>
#include <catch2/catch.hpp>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/own_signal.h"

using namespace selfheal;

namespace {

std::atomic<int> own{-1};

void on_abort(int, siginfo_t* info, void* context) {
  own = probes::sent_by_itself(*info, *static_cast<ucontext_t*>(context)) ? 1 : 0;
}

class Handler {
 public:
  Handler() {
    struct sigaction action {};
    action.sa_sigaction = on_abort;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGABRT, &action, &before_);
    own = -1;
  }
  ~Handler() { ::sigaction(SIGABRT, &before_, nullptr); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  struct sigaction before_;
};

// Waits for a signal in a system call, computing, or wherever.
template <typename Send>
int seen_from_outside(Send&& send) {
  const Handler handler;
  send();
  while (own == -1) {
    sched_yield();
  }
  return own;
}

}  // namespace

TEST_CASE("a thread's own signals are known by their system call", "[own_signal]") {
  const Handler handler;
  raise(SIGABRT);
  CHECK(own.exchange(-1) == 1);
  kill(getpid(), SIGABRT);
  CHECK(own.exchange(-1) == 1);
  syscall(SYS_tgkill, getpid(), gettid(), SIGABRT);
  CHECK(own.exchange(-1) == 1);
  syscall(SYS_tkill, gettid(), SIGABRT);
  CHECK(own.exchange(-1) == 1);
  pthread_kill(pthread_self(), SIGABRT);
  CHECK(own.exchange(-1) == 1);
  sigqueue(getpid(), SIGABRT, {});
  CHECK(own.exchange(-1) == 1);
}

TEST_CASE("another process's signal is not", "[own_signal]") {
  const pid_t target = getpid();
  CHECK(seen_from_outside([target] {
          const pid_t child = fork();
          if (child == 0) {
            kill(target, SIGABRT);
            _exit(0);
          }
          int status = 0;
          while (waitpid(child, &status, 0) < 0) {
          }
        }) == 0);
}

TEST_CASE("nor is another thread's of the same process", "[own_signal]") {
  static pthread_t target;
  target = pthread_self();
  CHECK(seen_from_outside([] {
          pthread_t thread;
          pthread_create(
              &thread, nullptr,
              [](void*) -> void* {
                pthread_kill(target, SIGABRT);
                return nullptr;
              },
              nullptr);
          pthread_join(thread, nullptr);
        }) == 0);
}
