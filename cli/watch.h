// What `selfheal run` watches its program for, from outside.
//
// A watch says when it wants to look, and looks; the supervisor sleeps until the earliest such time
// or a signal. Nothing of a watch blocks.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>

#include "lib/base/fault.h"

namespace selfheal::cli {

using Clock = std::chrono::steady_clock;

// The program lives, but is to be ended.
struct Trouble {
  FaultKind kind;    // time_out or memory_growth
  std::string what;  // "its health check failed 3 times in a row: HTTP status 500"
  u64 used = 0;      // bytes, for memory_growth
};

class Watch {
 public:
  virtual ~Watch() = default;
  virtual void program_started(pid_t program, Clock::time_point now) = 0;
  virtual void program_ended() = 0;
  virtual Clock::time_point due() const = 0;
  virtual std::optional<Trouble> look(Clock::time_point now) = 0;
  // A child was reaped. True: it was one of this watch.
  virtual bool reaped(pid_t pid, int wait_status, Clock::time_point now) = 0;
};

}  // namespace selfheal::cli
