#include "cli/server_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "cli/library.h"
#include "cli/process_tree.h"
#include "cli/timed_command.h"
#include "cli/wait_status.h"

namespace selfheal::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds pause{20};
constexpr unsigned looks_until_settled = 10;

// Nothing runs, and nothing has run since the last look.
class Settling {
 public:
  bool look(const std::vector<pid_t>& processes) {
    milliseconds used{0};
    bool waits = !processes.empty();
    for (const pid_t pid : processes) {
      for (const ThreadState& thread : threads_of(pid)) {
        used += thread.used;
        waits = waits && (thread.state == 'S' || thread.state == 'Z');
      }
    }
    quiet_ = waits && used == used_ ? quiet_ + 1 : 0;
    used_ = used;
    return quiet_ >= looks_until_settled;
  }

 private:
  milliseconds used_{-1};
  unsigned quiet_ = 0;
};

bool is_ready(ServerProcess& server, Settling& settling, const Readiness& readiness) {
  if (!readiness.command.empty()) {
    return run_command(readiness.command, readiness.environment, readiness.timeout).good();
  }
  return readiness.port != 0 ? listens(readiness.port) : settling.look(server.processes());
}

}  // namespace

Result<Launch> launch_with_library(Launch launch, const std::string& store,
                                   const std::string& options) {
  const Result<std::string> library = find_library();
  if (!library) {
    return tl::unexpected(library.error());
  }
  const std::string* preload = find_variable(launch.environment, "LD_PRELOAD");
  set_variable(
      launch.environment, "LD_PRELOAD",
      prepend_preload(*library, preload != nullptr ? preload->substr(sizeof "LD_PRELOAD") : ""));
  set_variable(launch.environment, "SELFHEAL_STORE", store);
  const std::string* before = find_variable(launch.environment, "SELFHEAL_OPTIONS");
  const std::string given =
      before != nullptr ? before->substr(sizeof "SELFHEAL_OPTIONS") + ":" : "";
  set_variable(launch.environment, "SELFHEAL_OPTIONS", given + options);
  return launch;
}

Outcome ServerProcess::start() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what the server leaves behind is ours to end
  pid_ = fork();
  if (pid_ < 0) {
    return fail(fmt::format("cannot fork: {}", std::strerror(errno)));
  }
  if (pid_ == 0) {
    setpgid(0, 0);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int input = input_.empty() ? nothing : open(input_.c_str(), O_RDONLY | O_CLOEXEC);
    const int output = output_.empty()
                           ? nothing
                           : open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execute(launch_);
    _exit(exit_cannot_execute);
  }
  setpgid(pid_, pid_);
  return 0;
}

bool ServerProcess::ended() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) {
    ended_ = true;
  }
  return ended_;
}

std::vector<pid_t> ServerProcess::processes() const {
  return program_processes(pid_, {});
}

void ServerProcess::end() {
  if (pid_ <= 0) {
    return;
  }
  kill(-pid_, SIGTERM);
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(3);
  while (!ended() && Clock::now() < deadline) {
    std::this_thread::sleep_for(pause);
  }
  for (int round = 0; round < 100; ++round) {
    const std::vector<pid_t> left = processes();
    for (const pid_t pid : left) {
      kill(pid, SIGKILL);
    }
    kill(-pid_, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (left.empty() || (left.size() == 1 && left[0] == pid_ && kill(pid_, 0) != 0)) {
      break;
    }
    std::this_thread::sleep_for(pause);
  }
  pid_ = -1;
}

Outcome wait_until_ready(ServerProcess& server, const Readiness& readiness) {
  const Clock::time_point deadline = Clock::now() + readiness.timeout;
  Settling settling;
  while (!is_ready(server, settling, readiness)) {
    if (server.ended()) {
      return fail(fmt::format("the server ended before it was asked anything ({})",
                              ending_of(server.wait_status())));
    }
    if (Clock::now() >= deadline) {
      return fail(
          "the server is not ready in time; say how to tell with --ready, or wait longer "
          "with --timeout");
    }
    std::this_thread::sleep_for(pause);
  }
  return 0;
}

}  // namespace selfheal::cli
