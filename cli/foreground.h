// Which process group the terminal listens to (POSIX.1-2017, 11.1 "General Terminal Interface").
// Does nothing where stdin is not our controlling terminal.
#pragma once

#include <unistd.h>

namespace selfheal::cli {

class Foreground {
 public:
  Foreground() : own_group_(getpgrp()) {}

  bool has_terminal() const { return tcgetpgrp(STDIN_FILENO) >= 0; }

  // Puts `group`, of this session, in front if we are there; a job in the background stays there.
  // SIGTTOU must be blocked.
  void lend(pid_t group) const { hand(own_group_, group); }

  void take_back(pid_t group) const { hand(group, own_group_); }

 private:
  static void hand(pid_t from, pid_t to) {
    if (from > 0 && tcgetpgrp(STDIN_FILENO) == from) {
      tcsetpgrp(STDIN_FILENO, to);
    }
  }

  pid_t own_group_;
};

}  // namespace selfheal::cli
