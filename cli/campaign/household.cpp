#include "cli/campaign/household.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace selfheal::cli::campaign {
namespace {

constexpr milliseconds between_looks{10};

void wake(int) {}

[[noreturn]] void become(const Start& start) {
  setsid();
  signal(SIGALRM, SIG_DFL);
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(start.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int error = open(start.errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(in, 0);
  dup2(out, 1);
  dup2(error, 2);
  for (const int fd : {in, out, error}) {
    if (fd > 2) {
      close(fd);
    }
  }
  std::vector<char*> arguments;
  std::vector<char*> environment;
  for (const std::string& word : start.arguments) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  for (const std::string& variable : start.environment) {
    environment.push_back(const_cast<char*>(variable.c_str()));
  }
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  if (chdir(start.folder.c_str()) == 0 &&
      (!start.traced ||
       (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 && raise(SIGSTOP) == 0))) {
    execve(arguments[0], arguments.data(), environment.data());
  }
  _exit(127);
}

std::string file_text(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* open = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(open)) {
      if (entry->d_name[0] != '.') {
        names.emplace_back(entry->d_name);
      }
    }
    closedir(open);
  }
  return names;
}

// Of all processes in the cell but pid 1.
std::vector<pid_t> pids() {
  std::vector<pid_t> result;
  for (const std::string& name : names_in("/proc")) {
    const pid_t pid = static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10));
    if (pid > 1) {
      result.push_back(pid);
    }
  }
  return result;
}

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

// proc(5): the state is behind the name, which may contain anything.
char state_in(const std::string& stat) {
  const size_t close = stat.rfind(')');
  return close == std::string::npos || close + 2 >= stat.size() ? 'X' : stat[close + 2];
}

bool any_thread_runs(const std::string& folder) {
  const std::vector<std::string> threads = names_in(folder + "/task");
  return std::any_of(threads.begin(), threads.end(), [&](const std::string& thread) {
    return state_in(file_text(folder + "/task/" + thread + "/stat")) == 'R';
  });
}

std::optional<Sight> look_at(const std::string& folder) {
  const std::string stat = file_text(folder + "/stat");
  const size_t open = stat.find('(');
  const size_t close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) {
    return std::nullopt;
  }
  Sight sight;
  sight.name = stat.substr(open + 1, close - open - 1);
  std::istringstream rest(stat.substr(close + 2));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  // proc(5): fields[0] is the third, the state.
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") {
    return std::nullopt;
  }
  sight.ticks = std::stoull(fields[11]) + std::stoull(fields[12]);
  sight.threads = std::stoull(fields[17]);
  sight.started = std::stoull(fields[19]);
  sight.descriptors = names_in(folder + "/fd").size();
  const std::string status = file_text(folder + "/status");
  if (const size_t at = status.find("RssAnon:"); at != std::string::npos) {
    sight.resident = std::strtoull(status.c_str() + at + 8, nullptr, 10);
  }
  return sight;
}

}  // namespace

// The timer makes a waitpid that finds nothing come back with EINTR. Children must not keep the
// handler's effect: execve resets it, and timers are not inherited.
Household::Household() {
  struct sigaction action {};
  action.sa_handler = wake;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval every{{0, 20'000}, {0, 20'000}};
  setitimer(ITIMER_REAL, &every, nullptr);
}

pid_t Household::start(const Start& start) {
  const pid_t child = fork();
  if (child == 0) {
    become(start);
  }
  return child;
}

void Household::pump() {
  int status = 0;
  const pid_t pid = waitpid(-1, &status, __WALL);
  if (pid < 0) {
    if (errno == ECHILD) {
      usleep(5000);
    }
    return;
  }
  if ((!hook_ || !hook_(pid, status)) && (WIFEXITED(status) || WIFSIGNALED(status))) {
    ended_[pid] = status;
  }
}

bool Household::pump_until(const std::function<bool()>& done, Clock::time_point deadline) {
  // Not after each report: a traced server makes thousands of them, and looking at /proc is slow.
  while (!done()) {
    const Clock::time_point looked = Clock::now();
    if (looked >= deadline) {
      return false;
    }
    do {
      pump();
    } while (Clock::now() - looked < between_looks);
  }
  return true;
}

std::optional<int> Household::status(pid_t pid) const {
  const auto found = ended_.find(pid);
  return found == ended_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int> Household::run(const Start& start, Clock::time_point deadline) {
  const pid_t pid = this->start(start);
  const bool ended = pid > 0 && pump_until([&] { return status(pid).has_value(); }, deadline);
  end_session(pid);  // also what a finished command left behind
  return ended ? status(pid) : std::nullopt;
}

void Household::end_session(pid_t leader) {
  if (leader <= 0) {
    return;
  }
  for (const pid_t pid : pids()) {
    if (getsid(pid) == leader) {
      kill(pid, SIGKILL);
    }
  }
  pump_until([&] { return status(leader).has_value() || getsid(leader) != leader; },
             Clock::now() + milliseconds(2000));
}

std::vector<Sight> Household::processes() const {
  std::vector<Sight> result;
  for (const pid_t pid : pids()) {
    if (std::optional<Sight> sight = look_at(folder_of(pid))) {
      sight->pid = pid;
      result.push_back(*sight);
    }
  }
  return result;
}

bool Household::any_runs() const {
  const std::vector<pid_t> all = pids();
  return std::any_of(all.begin(), all.end(),
                     [](pid_t pid) { return any_thread_runs(folder_of(pid)); });
}

void Household::end_all() {
  pump_until(
      [&] {
        kill(-1, SIGKILL);
        return processes().empty();
      },
      Clock::now() + milliseconds(5000));
}

}  // namespace selfheal::cli::campaign
