// Health checks at intervals, and when they have failed too often (Dockerfile reference,
// HEALTHCHECK: interval, timeout, start period and retries mean the same here).
#pragma once

#include "cli/health_check.h"
#include "cli/watch.h"

namespace selfheal::cli {

class HealthWatch final : public Watch {
 public:
  HealthWatch(const HealthPolicy& policy, const sigset_t& mask)
      : policy_(policy), check_(policy, mask) {}

  void program_started(pid_t program, Clock::time_point now) override;
  void program_ended() override { check_.abandon(); }
  Clock::time_point due() const override { return check_.running() ? deadline_ : next_; }
  std::optional<Trouble> look(Clock::time_point now) override;
  bool reaped(pid_t pid, int wait_status, Clock::time_point now) override;

  // The process that is making a check; -1: none.
  pid_t child() const { return check_.child(); }

 private:
  void finish(bool healthy, Clock::time_point now);

  const HealthPolicy& policy_;
  HealthCheck check_;
  Clock::time_point started_;
  Clock::time_point next_ = Clock::time_point::max();
  Clock::time_point deadline_;
  unsigned failures_ = 0;  // in a row
  bool ever_healthy_ = false;
};

}  // namespace selfheal::cli
