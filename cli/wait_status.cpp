#include "cli/wait_status.h"

#include <csignal>
#include <cstring>
#include <fmt/core.h>
#include <sys/wait.h>

namespace selfheal::cli {

int exit_status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string ending_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const char* name = sigabbrev_np(WTERMSIG(wait_status));
    return name != nullptr ? fmt::format("died of SIG{}", name)
                           : fmt::format("died of signal {}", WTERMSIG(wait_status));
  }
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

bool is_clean_death(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGPIPE;
}

}  // namespace selfheal::cli
