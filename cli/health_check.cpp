#include "cli/health_check.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/http_get.h"
#include "cli/terminal.h"

namespace selfheal::cli {
namespace {

constexpr size_t longest_output = 200;

[[noreturn]] void run_command(const std::string& command) {
  execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  _exit(127);
}

[[noreturn]] void run_get(const std::string& url, std::chrono::milliseconds timeout) {
  const std::string problem = http_problem(url, timeout);
  [[maybe_unused]] const ssize_t size = write(STDOUT_FILENO, problem.data(), problem.size());
  _exit(problem.empty() ? 0 : 1);
}

}  // namespace

bool HealthCheck::begin() {
  abandon();
  late_ = false;
  output_ = memfd_create("health", MFD_CLOEXEC);
  const pid_t child = fork();
  if (child < 0) {
    problem_ = fmt::format("no process for it: {}", std::strerror(errno));
    abandon();
    return false;
  }
  if (child == 0) {
    setpgid(0, 0);
    for (int signal = 1; signal < 32; ++signal) {  // what nohup and the like had ignored
      std::signal(signal, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(output_ >= 0 ? output_ : nothing, STDOUT_FILENO);
    dup2(output_ >= 0 ? output_ : nothing, STDERR_FILENO);
    if (!policy_.command.empty()) {
      run_command(policy_.command);
    }
    // Later than ours, which says what happened; should we be gone, it ends all the same.
    run_get(policy_.url, policy_.timeout + std::chrono::seconds(1));
  }
  setpgid(child, child);
  child_ = child;
  return true;
}

bool HealthCheck::ended(int wait_status) {
  const std::string words = last_words();
  child_ = -1;
  abandon();
  if (late_) {
    problem_ = fmt::format("no answer within {} ms", policy_.timeout.count());
    return false;
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
    return true;
  }
  if (!policy_.command.empty()) {
    problem_ = WIFSIGNALED(wait_status) ? fmt::format("signal {}", WTERMSIG(wait_status))
                                        : fmt::format("status {}", WEXITSTATUS(wait_status));
  } else {
    problem_ = WIFSIGNALED(wait_status) ? "the check itself crashed" : "";
  }
  problem_ += (problem_.empty() || words.empty() ? "" : ": ") + words;
  return false;
}

void HealthCheck::kill_late() {
  late_ = true;
  kill(-child_, SIGKILL);
}

void HealthCheck::abandon() {
  if (child_ > 0) {
    kill(-child_, SIGKILL);
    child_ = -1;
  }
  if (output_ >= 0) {
    close(output_);
    output_ = -1;
  }
}

// The last line it printed, cut.
std::string HealthCheck::last_words() const {
  char buffer[4096];
  constexpr auto room = static_cast<off_t>(sizeof buffer);
  const off_t size = output_ >= 0 ? lseek(output_, 0, SEEK_END) : 0;
  const off_t start = size > room ? size - room : 0;
  const ssize_t got = size > 0 ? pread(output_, buffer, sizeof buffer, start) : 0;
  return last_line({buffer, got > 0 ? static_cast<size_t>(got) : 0}, longest_output);
}

}  // namespace selfheal::cli
