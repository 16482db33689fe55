#include "test/cli/process.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pty.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace selfheal::cli::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{20};

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

void apply(const Changes& changes) {
  for (const auto& [name, value] : changes) {
    if (value) {
      setenv(name.c_str(), value->c_str(), 1);
    } else {
      unsetenv(name.c_str());
    }
  }
}

[[noreturn]] void execute(const Arguments& arguments, const Changes& changes) {
  apply(changes);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  _exit(99);
}

// False at the end of the stream.
bool read_some(int fd, std::string& into) {
  char buffer[4096];
  const ssize_t size = read(fd, buffer, sizeof buffer);
  if (size <= 0) {
    return false;
  }
  into.append(buffer, static_cast<size_t>(size));
  return true;
}

}  // namespace

Process::Process(const Arguments& arguments, const Changes& changes,
                 std::optional<Terminal> terminal) {
  if (terminal) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = terminal->columns;
    pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      execute(arguments, changes);
    }
    out_fd_ = terminal_;
    return;
  }
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe");
  }
  pid_ = fork();
  if (pid_ == 0) {
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execute(arguments, changes);
  }
  close(out[1]);
  close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {out_fd_, err_fd_}) {
    if (fd >= 0) {
      close(fd);
    }
  }
}

void Process::signal(int number) const {
  kill(pid_, number);
}

void Process::type(const std::string& keys) const {
  if (write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) {
    throw std::runtime_error("write to the terminal");
  }
}

// Reads what has come; false when both streams have ended or the deadline has passed.
bool Process::pump(Clock::time_point deadline) {
  pollfd fds[2] = {{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if ((out_fd_ < 0 && err_fd_ < 0) || left.count() <= 0 ||
      poll(fds, 2, static_cast<int>(left.count())) <= 0) {
    return false;
  }
  if (fds[0].revents != 0 && !read_some(out_fd_, out_)) {
    close(out_fd_);
    out_fd_ = -1;
  }
  if (fds[1].revents != 0 && !read_some(err_fd_, err_)) {
    close(err_fd_);
    err_fd_ = -1;
  }
  return true;
}

bool Process::wait_for(const std::string& stream, const std::string& text, size_t count) {
  const Clock::time_point deadline = Clock::now() + patience;
  while (occurrences(stream, text) < count) {
    if (!pump(deadline)) {
      return false;
    }
  }
  return true;
}

bool Process::says(const std::string& text, size_t count) {
  return wait_for(out_, text, count);
}

bool Process::complains(const std::string& text, size_t count) {
  return wait_for(err_, text, count);
}

bool Process::stops() {
  const Clock::time_point deadline = Clock::now() + patience;
  while (Clock::now() < deadline) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG | WUNTRACED) == pid_) {
      return WIFSTOPPED(status);
    }
    pump(Clock::now() + std::chrono::milliseconds(10));
  }
  return false;
}

Finished Process::finish() {
  Finished result;
  const Clock::time_point deadline = Clock::now() + patience;
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(pid_, &status, WNOHANG)) == 0 && Clock::now() < deadline) {
    // Output may stay open in a program's children, and may end before the program does.
    if (!pump(Clock::now() + std::chrono::milliseconds(10))) {
      usleep(1000);
    }
  }
  if (ended == pid_) {
    while (pump(Clock::now() + std::chrono::milliseconds(50))) {
    }
    result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    pid_ = -1;
  }
  result.out = out_;
  result.err = err_;
  return result;
}

Finished run(const Arguments& arguments, const Changes& changes) {
  return Process(arguments, changes).finish();
}

Arguments selfheal(const Arguments& arguments) {
  Arguments result = {SELFHEAL_CLI};
  result.insert(result.end(), arguments.begin(), arguments.end());
  return result;
}

Folder::Folder() {
  char name[] = "/tmp/selfheal-cli-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    throw std::runtime_error("mkdtemp");
  }
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& text, unsigned mode) {
  std::ofstream(path, std::ios::binary) << text;
  chmod(path.c_str(), mode);
}

Changes with_library(Changes changes) {
  changes.emplace("SELFHEAL_LIBRARY", PRELOAD_PROBE);
  changes.emplace("SELFHEAL_OPTIONS", std::nullopt);
  changes.emplace("LD_PRELOAD", std::nullopt);
  changes.emplace("ASAN_OPTIONS", "verify_asan_link_order=0");
  return changes;
}

}  // namespace selfheal::cli::test
