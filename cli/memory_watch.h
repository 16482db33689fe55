// The memory of a program and its descendants against a limit, twice a second, so that it can be
// ended and started again before the kernel's OOM killer does it, at a worse moment, to somebody
// else perhaps.
#pragma once

#include <functional>
#include <vector>

#include "cli/watch.h"
#include "lib/base/types.h"

namespace selfheal::cli {

class MemoryWatch final : public Watch {
 public:
  // `processes`: those that count, asked for at each look.
  MemoryWatch(u64 limit, std::function<std::vector<pid_t>()> processes)
      : limit_(limit), processes_(std::move(processes)) {}

  void program_started(pid_t program, Clock::time_point now) override;
  void program_ended() override { next_ = Clock::time_point::max(); }
  Clock::time_point due() const override { return next_; }
  std::optional<Trouble> look(Clock::time_point now) override;
  bool reaped(pid_t, int, Clock::time_point) override { return false; }

 private:
  u64 limit_;
  std::function<std::vector<pid_t>()> processes_;
  Clock::time_point next_ = Clock::time_point::max();
};

// "1.5 GiB"
std::string size_text(u64 bytes);

}  // namespace selfheal::cli
