// `selfheal run --restart`: starts a program, and starts it again when it crashes.
//
//   terminal ──SIGINT──► foreground process group
//                              │
//   kill(1) ──► selfheal ──────┼─ forwards ──► program (a process group of its own)
//                  ▲           │                  │ forks
//                  │ SIGCHLD   │                  ▼
//                  └── reaps ──┴──────────── children, orphans
//
// Works as PID 1 or as a subreaper: orphans of the program become our children and are reaped.
// All signals that can be forwarded are blocked here and taken with sigtimedwait, so there is no
// handler and no race; the program gets the mask we were started with.
//
// On a terminal, the program's group is put in the foreground; when it is stopped (Ctrl-Z) we take
// the terminal back and stop too, so the shell's job control sees one job.
#pragma once

#include <chrono>
#include <functional>

#include "cli/launch.h"
#include "cli/result.h"

namespace selfheal::cli {

struct RestartPolicy {
  unsigned max_restarts = 0;  // in a row, without a healthy time between; 0: no limit
  std::chrono::milliseconds first_delay{100};
  std::chrono::milliseconds longest_delay{30'000};
  std::chrono::milliseconds healthy_after{10'000};  // a run this long clears delay and count
};

// The delay before restart number `restarts` (1, 2, ...) in a row: doubles, up to the longest.
std::chrono::milliseconds restart_delay(const RestartPolicy& policy, unsigned restarts);

// Runs until the program ends for good; gives its exit status, or 128+n when signal n ended it.
// A crash is a status other than 0, or death by a signal that nobody ends programs with on purpose
// (SIGHUP, SIGINT, SIGPIPE, SIGTERM, or one that we forwarded). `after_crash` is called before each
// restart. After a SIGTERM, SIGINT or SIGQUIT to us there are no more restarts.
Outcome supervise(const Launch& launch, const RestartPolicy& policy,
                  const std::function<void()>& after_crash);

}  // namespace selfheal::cli
