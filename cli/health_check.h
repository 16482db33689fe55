// One health check at a time: a command, or an HTTP GET, in a child process of its own, so that
// whatever it does (hang, crash, fork) the supervisor goes on taking signals.
//
//   begin() ── fork ──► child, leader of its own process group
//   (SIGCHLD) ended() ◄── exit status 0: healthy
//   out of time: the whole group is killed; the check has failed
//
// What it printed last is kept for the message, in a memory file: nobody has to empty a pipe.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <sys/types.h>

namespace selfheal::cli {

struct HealthPolicy {
  std::string command;  // for /bin/sh -c; healthy: exit status 0
  std::string url;      // http:// or https://; healthy: a status of 200 to 399
  // As Docker's HEALTHCHECK has them.
  std::chrono::milliseconds interval{30'000};  // from the end of one check to the next
  std::chrono::milliseconds timeout{30'000};   // of one check
  std::chrono::milliseconds start_period{0};   // failures do not count, until the first success
  unsigned retries = 3;                        // failures in a row

  bool wanted() const { return !command.empty() || !url.empty(); }
};

class HealthCheck {
 public:
  // `mask`: the signal mask the command gets.
  HealthCheck(const HealthPolicy& policy, const sigset_t& mask) : policy_(policy), mask_(mask) {}
  ~HealthCheck() { abandon(); }
  HealthCheck(const HealthCheck&) = delete;
  HealthCheck& operator=(const HealthCheck&) = delete;

  // False, with a reason in problem(), when no process could be made.
  bool begin();
  bool running() const { return child_ > 0; }
  pid_t child() const { return child_; }

  // The child was reaped with this wait status. True: healthy.
  bool ended(int wait_status);
  // Its time is over: kills it and what it started. It is still to be reaped.
  void kill_late();
  // It is of no interest any more; reaped by whoever reaps orphans.
  void abandon();

  // Why the last check failed, in one clause.
  const std::string& problem() const { return problem_; }

 private:
  std::string last_words() const;

  const HealthPolicy& policy_;
  sigset_t mask_;
  pid_t child_ = -1;
  int output_ = -1;
  bool late_ = false;
  std::string problem_;
};

}  // namespace selfheal::cli
