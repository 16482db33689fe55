// `selfheal run`, staying: starts a program, watches it, and starts it again when it crashes.
//
//   terminal ──SIGINT──► foreground process group
//                              │
//   kill(1) ──► selfheal ──────┼─ forwards ──► program (a process group of its own)
//                  ▲  │        │                  │ forks
//                  │  │     SIGCHLD               ▼
//                  └──┼─ reaps ┴──────────── children, orphans
//                     └─ watches: health checks, memory (watch.h)
//
// Works as PID 1 or as a subreaper: orphans of the program become our children and are reaped.
// All signals that can be forwarded are blocked here and taken with sigtimedwait, so there is no
// handler and no race; the program gets the mask we were started with. Between two signals the
// supervisor sleeps until the next watch is due; whatever takes time runs in a child.
//
// On a terminal, the program's group is put in the foreground; when it is stopped (Ctrl-Z) we take
// the terminal back and stop too, so the shell's job control sees one job.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "cli/event.h"
#include "cli/health_check.h"
#include "cli/launch.h"
#include "cli/result.h"
#include "cli/watch.h"

namespace selfheal::cli {

struct RestartPolicy {
  bool wanted = true;
  unsigned max_restarts = 0;  // in a row, without a healthy time between; 0: no limit
  std::chrono::milliseconds first_delay{100};
  std::chrono::milliseconds longest_delay{30'000};
  std::chrono::milliseconds healthy_after{10'000};  // a run this long clears delay and count
};

struct Supervision {
  RestartPolicy restart;
  HealthPolicy health;
  u64 memory_limit = 0;  // bytes; 0: none
  std::chrono::milliseconds stop_timeout{
      5'000};  // from SIGTERM to SIGKILL for a program in trouble
};

// Sleeps, taking signals; false when the program has ended.
using Pause = std::function<bool(std::chrono::milliseconds)>;

// What the supervisor has others do. None may block; `Pause` is for waiting.
struct SupervisorHooks {
  std::function<void()> before_restart;
  // The program is to be ended: have these processes of its tell what they do, and write it down.
  std::function<void(const Trouble&, const std::vector<pid_t>&, const Pause&)> trouble;
  std::function<void(const Event&)> record;
};

// The delay before restart number `restarts` (1, 2, ...) in a row: doubles, up to the longest.
std::chrono::milliseconds restart_delay(const RestartPolicy& policy, unsigned restarts);

// As timeout(1): the program was ended for what it did, and is not started again.
inline constexpr int exit_ended_by_us = 124;

// Runs until the program ends for good; gives its exit status, 128+n when signal n ended it, or
// exit_ended_by_us. A crash is a status other than 0, or death by a signal that nobody ends
// programs with on purpose (SIGHUP, SIGINT, SIGPIPE, SIGTERM, or one that we forwarded). After a
// SIGTERM, SIGINT or SIGQUIT to us there are no more restarts.
Outcome supervise(const Launch& launch, const Supervision& supervision,
                  const SupervisorHooks& hooks);

}  // namespace selfheal::cli
