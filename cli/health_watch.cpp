#include "cli/health_watch.h"

#include <fmt/core.h>

namespace selfheal::cli {

void HealthWatch::program_started(pid_t, Clock::time_point now) {
  check_.abandon();
  started_ = now;
  next_ = now + policy_.interval;
  failures_ = 0;
  ever_healthy_ = false;
}

std::optional<Trouble> HealthWatch::look(Clock::time_point now) {
  if (check_.running()) {
    if (now >= deadline_) {
      check_.kill_late();
      deadline_ = Clock::time_point::max();  // to be reaped
    }
    return {};
  }
  if (failures_ >= policy_.retries) {
    next_ = Clock::time_point::max();
    return Trouble{FaultKind::time_out,
                   policy_.retries == 1
                       ? fmt::format("its health check failed: {}", check_.problem())
                       : fmt::format("its health check failed {} times in a row: {}", failures_,
                                     check_.problem())};
  }
  if (now >= next_) {
    if (check_.begin()) {
      deadline_ = now + policy_.timeout;
    } else {
      finish(true, now);  // our trouble, not the program's
    }
  }
  return {};
}

bool HealthWatch::reaped(pid_t pid, int wait_status, Clock::time_point now) {
  if (!check_.running() || pid != check_.child()) {
    return false;
  }
  finish(check_.ended(wait_status), now);
  return true;
}

void HealthWatch::finish(bool healthy, Clock::time_point now) {
  ever_healthy_ = ever_healthy_ || healthy;
  const bool counts = ever_healthy_ || now >= started_ + policy_.start_period;
  failures_ = healthy || !counts ? 0 : failures_ + 1;
  next_ = failures_ >= policy_.retries ? now : now + policy_.interval;
}

}  // namespace selfheal::cli
