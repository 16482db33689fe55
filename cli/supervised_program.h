// The program's process as its supervisor holds it: started, sent what signals come, reaped, ended.
//
// From construction to destruction all signals that can be forwarded are blocked, and taken only in
// the sleeping functions below.
#pragma once

#include <csignal>
#include <functional>
#include <sys/types.h>

#include "cli/foreground.h"
#include "cli/launch.h"
#include "cli/result.h"
#include "cli/watch.h"

namespace selfheal::cli {

class SupervisedProgram {
 public:
  // `other_child`: another child of this process was reaped: an orphan, or one that was made for
  // somebody else's purpose.
  SupervisedProgram(const Launch& launch, std::function<void(pid_t, int)> other_child);
  ~SupervisedProgram();
  SupervisedProgram(const SupervisedProgram&) = delete;
  SupervisedProgram& operator=(const SupervisedProgram&) = delete;

  Outcome start();
  pid_t pid() const { return child_; }
  bool ended() const { return ended_; }
  int wait_status() const { return status_; }

  // A signal came that is meant to end the program, and so us.
  bool told_to_end() const { return told_to_end_; }
  int last_forwarded() const { return last_forwarded_; }

  // Until then, or until a signal has come and was dealt with. time_point::max(): for ever.
  void sleep_until(Clock::time_point deadline);
  // Until then, or until told to end.
  void wait_until(Clock::time_point deadline);

  // SIGTERM for its process group, and SIGKILL for what is left of it then: workers that outlived
  // their parent may hold the port that the next one needs.
  void end_group(std::chrono::milliseconds patience);

  const sigset_t& original_mask() const { return original_mask_; }

 private:
  void take_signal(const timespec* timeout);
  void reap();
  void follow_stop();

  const Launch& launch_;
  std::function<void(pid_t, int)> other_child_;
  Foreground foreground_;
  sigset_t signals_{};
  sigset_t original_mask_{};
  pid_t child_ = -1;  // also its process group
  bool ended_ = true;
  bool told_to_end_ = false;
  int status_ = 0;
  int last_forwarded_ = 0;
};

}  // namespace selfheal::cli
