#include "cli/supervised_program.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/wait_status.h"

namespace selfheal::cli {
namespace {

// Faults of our own stay fatal; SIGKILL and SIGSTOP cannot be had.
sigset_t forwarded_signals() {
  sigset_t set;
  sigfillset(&set);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&set, signal);
  }
  return set;
}

Outcome own_failure(const char* what) {
  return fail(fmt::format("cannot {}: {}; raise the limit on processes or files (ulimit)", what,
                          std::strerror(errno)),
              exit_own_failure);
}

}  // namespace

SupervisedProgram::SupervisedProgram(const Launch& launch,
                                     std::function<void(pid_t, int)> other_child)
    : launch_(launch), other_child_(std::move(other_child)), signals_(forwarded_signals()) {
  sigprocmask(SIG_BLOCK, &signals_, &original_mask_);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

SupervisedProgram::~SupervisedProgram() {
  sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
}

Outcome SupervisedProgram::start() {
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
    ended_ = false;
    return 0;
  }
  waitpid(child, nullptr, 0);
  return tl::unexpected(launch_failure(launch_.path, error));
}

void SupervisedProgram::wait_until(Clock::time_point deadline) {
  while (!told_to_end_ && Clock::now() < deadline) {
    sleep_until(deadline);
  }
}

void SupervisedProgram::sleep_until(Clock::time_point deadline) {
  if (deadline == Clock::time_point::max()) {
    take_signal(nullptr);
    return;
  }
  const auto left =
      std::max(std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()),
               std::chrono::nanoseconds(0));
  const timespec timeout{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  take_signal(&timeout);
}

void SupervisedProgram::take_signal(const timespec* timeout) {
  siginfo_t info{};
  const int signal = sigtimedwait(&signals_, &info, timeout);
  if (signal < 0) {
    return;
  }
  if (signal == SIGCHLD) {
    reap();
    return;
  }
  told_to_end_ = told_to_end_ || asks_to_end(signal);
  last_forwarded_ = signal;
  if (child_ > 0 && !ended_) {
    if (signal == SIGCONT) {
      foreground_.lend(child_);
    }
    kill(child_, signal);
  }
}

// Everything that has ended; on a terminal, also that the program was stopped.
void SupervisedProgram::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
    if (pid != child_) {
      other_child_(pid, status);
      continue;
    }
    if (WIFSTOPPED(status)) {
      follow_stop();
    } else {
      ended_ = true;
      status_ = status;
      foreground_.take_back(child_);
    }
  }
}

// The program was stopped: so are we, for the shell to see, until somebody continues us. Only on
// a terminal: without job control nobody would.
void SupervisedProgram::follow_stop() {
  if (!foreground_.has_terminal() || getpid() == 1) {
    return;
  }
  foreground_.take_back(child_);
  raise(SIGSTOP);
  foreground_.lend(child_);
  kill(-child_, SIGCONT);
}

void SupervisedProgram::end_group(std::chrono::milliseconds patience) {
  const Clock::time_point deadline = Clock::now() + patience;
  if (kill(-child_, SIGTERM) != 0) {
    return;
  }
  while (kill(-child_, 0) == 0 && Clock::now() < deadline) {
    sleep_until(std::min(deadline, Clock::now() + std::chrono::milliseconds(20)));
    reap();
  }
  kill(-child_, SIGKILL);
}

}  // namespace selfheal::cli
