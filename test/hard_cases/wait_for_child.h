// How a child of the subject ended.
#pragma once

#include <errno.h>
#include <sys/wait.h>

namespace hard {

// Its exit status, or minus the signal that killed it. -1: any child. Waits.
inline int exit_status_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace hard
