#include "cli/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/foreground.h"
#include "cli/session.h"

namespace selfheal::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Faults of our own stay fatal; SIGKILL and SIGSTOP cannot be had.
sigset_t forwarded_signals() {
  sigset_t set;
  sigfillset(&set);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&set, signal);
  }
  return set;
}

// Meant to end the program, and so us.
bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

// Signals that people and shells end programs with: no crash, whoever sent them (Ctrl-C goes from
// the terminal to the program's group without passing through us).
bool is_clean_death(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGPIPE;
}

int exit_status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string ending_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const char* name = sigabbrev_np(WTERMSIG(wait_status));
    return name != nullptr ? fmt::format("died of SIG{}", name)
                           : fmt::format("died of signal {}", WTERMSIG(wait_status));
  }
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

class Supervisor {
 public:
  Supervisor(const Launch& launch, const RestartPolicy& policy) : launch_(launch), policy_(policy) {
    signals_ = forwarded_signals();
    sigprocmask(SIG_BLOCK, &signals_, &original_mask_);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }

  ~Supervisor() {
    foreground_.take_back(child_);
    sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
  }

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  Outcome run(const std::function<void()>& after_crash) {
    unsigned restarts = 0;
    for (;;) {
      const Clock::time_point started = Clock::now();
      if (const Outcome outcome = start(); !outcome) {
        return outcome;
      }
      const int status = wait_for_end();
      foreground_.take_back(child_);
      if (ended_for_good(status)) {
        return exit_status_of(status);
      }
      if (Clock::now() - started >= policy_.healthy_after) {
        restarts = 0;
      }
      ++restarts;
      after_crash();
      if (policy_.max_restarts != 0 && restarts > policy_.max_restarts) {
        warn(fmt::format("{} {}; gave up after {} restarts", launch_.path, ending_of(status),
                         policy_.max_restarts));
        return exit_status_of(status);
      }
      const milliseconds delay = restart_delay(policy_, restarts);
      warn(fmt::format("{} {}; restart {} in {} ms", launch_.path, ending_of(status), restarts,
                       delay.count()));
      end_leftovers();
      wait_until(Clock::now() + delay);
      if (ending_) {
        return exit_status_of(status);
      }
    }
  }

 private:
  Outcome start() {
    int report[2];  // carries the errno of a failed execve; a successful one closes it
    if (pipe2(report, O_CLOEXEC) != 0) {
      return own_failure("make a pipe");
    }
    const pid_t child = fork();
    if (child < 0) {
      close(report[0]);
      close(report[1]);
      return own_failure("fork");
    }
    if (child == 0) {
      setpgid(0, 0);
      foreground_.lend(getpid());
      sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
      const int error = execute(launch_);
      [[maybe_unused]] const ssize_t written = write(report[1], &error, sizeof error);
      _exit(exit_cannot_execute);
    }
    child_ = child;
    setpgid(child, child);  // in both, so that it is done whoever runs first
    foreground_.lend(child);
    close(report[1]);
    int error = 0;
    const ssize_t size = read(report[0], &error, sizeof error);
    close(report[0]);
    if (size != sizeof error) {
      return 0;
    }
    waitpid(child, nullptr, 0);
    return tl::unexpected(launch_failure(launch_.path, error));
  }

  static Outcome own_failure(const char* what) {
    return fail(fmt::format("cannot {}: {}; raise the limit on processes or files (ulimit)", what,
                            std::strerror(errno)),
                exit_own_failure);
  }

  int wait_for_end() {
    ended_ = false;
    reap();
    while (!ended_) {
      take_signal(nullptr);
    }
    return status_;
  }

  void wait_until(Clock::time_point deadline) {
    while (!ending_) {
      const auto left =
          std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now());
      if (left.count() <= 0) {
        return;
      }
      const timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
      take_signal(&timeout);
    }
  }

  void take_signal(const timespec* timeout) {
    siginfo_t info{};
    const int signal = sigtimedwait(&signals_, &info, timeout);
    if (signal < 0) {
      return;
    }
    if (signal == SIGCHLD) {
      reap();
      return;
    }
    ending_ = ending_ || asks_to_end(signal);
    last_forwarded_ = signal;
    if (child_ > 0 && !ended_) {
      if (signal == SIGCONT) {
        foreground_.lend(child_);
      }
      kill(child_, signal);
    }
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
      if (pid != child_) {
        continue;  // an orphan we adopted
      }
      if (WIFSTOPPED(status)) {
        follow_stop();
      } else {
        ended_ = true;
        status_ = status;
      }
    }
  }

  // The program was stopped: so are we, for the shell to see, until somebody continues us. Only on
  // a terminal: without job control nobody would.
  void follow_stop() {
    if (!foreground_.has_terminal() || getpid() == 1) {
      return;
    }
    foreground_.take_back(child_);
    raise(SIGSTOP);
    foreground_.lend(child_);
    kill(-child_, SIGCONT);
  }

  bool ended_for_good(int status) const {
    if (ending_) {
      return true;
    }
    if (WIFEXITED(status)) {
      return WEXITSTATUS(status) == 0 || is_clean_death(WEXITSTATUS(status) - 128);
    }
    return is_clean_death(WTERMSIG(status)) || WTERMSIG(status) == last_forwarded_;
  }

  // Workers that outlived their parent may hold the port that the next one needs.
  void end_leftovers() {
    if (kill(-child_, SIGTERM) != 0) {
      return;
    }
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(1);
    while (kill(-child_, 0) == 0 && Clock::now() < deadline && !ending_) {
      wait_until(std::min(deadline, Clock::now() + milliseconds(20)));
      reap();
    }
    kill(-child_, SIGKILL);
  }

  const Launch& launch_;
  const RestartPolicy& policy_;
  Foreground foreground_;
  sigset_t signals_{};
  sigset_t original_mask_{};
  pid_t child_ = -1;  // also its process group
  bool ended_ = true;
  bool ending_ = false;
  int status_ = 0;
  int last_forwarded_ = 0;
};

}  // namespace

milliseconds restart_delay(const RestartPolicy& policy, unsigned restarts) {
  milliseconds delay = policy.first_delay;
  for (unsigned i = 1; i < restarts && delay < policy.longest_delay; ++i) {
    delay *= 2;
  }
  return std::min(delay, policy.longest_delay);
}

Outcome supervise(const Launch& launch, const RestartPolicy& policy,
                  const std::function<void()>& after_crash) {
  return Supervisor(launch, policy).run(after_crash);
}

}  // namespace selfheal::cli
