#include "cli/campaign/trace.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace selfheal::cli::campaign {
namespace {

constexpr long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;

void resume(pid_t tid, int signal = 0) {
  ptrace(PTRACE_CONT, tid, nullptr, static_cast<long>(signal));
}

std::string program_of(pid_t pid) {
  std::array<char, 4096> path;
  const ssize_t size = readlink(fmt::format("/proc/{}/exe", pid).c_str(), path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<size_t>(size)) : "";
}

// Other signals end processes on purpose: whoever sent them meant it.
bool is_fault(int signal) {
  constexpr std::array faults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  return std::find(faults.begin(), faults.end(), signal) != faults.end();
}

bool write_byte(pid_t tid, u64 address, u8 byte) {
  const int fd = open(fmt::format("/proc/{}/mem", tid).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool done = pwrite(fd, &byte, 1, static_cast<off_t>(address)) == 1;
  close(fd);
  return done;
}

}  // namespace

std::vector<Trace::Mapping> Trace::code_of(pid_t pid) {
  std::vector<Mapping> result;
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    std::array<char, 8> rights{};
    int path = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %5s %" SCNx64 " %*s %*s %n",
                    &mapping.start, &mapping.end, rights.data(), &mapping.offset, &path) == 4 &&
        rights[2] == 'x' && path > 0 && line[static_cast<size_t>(path)] == '/') {
      mapping.path = line.substr(static_cast<size_t>(path));
      result.push_back(std::move(mapping));
    }
  }
  return result;
}

Trace::Trapped* Trace::home_of(pid_t tid, u64 address, u64& place) {
  for (const Mapping& mapping : mappings_[tid]) {
    if (address - mapping.start < mapping.end - mapping.start) {
      const auto found = trapped_.find(mapping.path);
      if (found == trapped_.end()) {
        return nullptr;
      }
      place = address - mapping.start + mapping.offset + found->second.bias;
      return found->second.original.contains(place) ? &found->second : nullptr;
    }
  }
  return nullptr;
}

// True when the SIGTRAP was one of our int3's.
bool Trace::trap(pid_t tid) {
  user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, tid, nullptr, &registers) != 0) {
    return false;
  }
  const u64 address = registers.rip - 1;
  u64 place = 0;
  Trapped* home = home_of(tid, address, place);
  if (home == nullptr) {
    mappings_[tid] = code_of(tid);  // something was loaded since
    home = home_of(tid, address, place);
  }
  if (home == nullptr || !write_byte(tid, address, home->original[place])) {
    return false;
  }
  home->executed.try_emplace(place, serving_);
  registers.rip = address;
  ptrace(PTRACE_SETREGS, tid, nullptr, &registers);
  return true;
}

bool Trace::handle(pid_t pid, int status) {
  if (!WIFSTOPPED(status)) {
    if (tracees_.erase(pid) != 0) {
      mappings_.erase(pid);
      if (WIFSIGNALED(status) && is_fault(WTERMSIG(status))) {
        deaths_.insert(WTERMSIG(status));
      }
    }
    return false;
  }
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (tracees_.insert(pid).second) {
    // Its first stop: SIGSTOP, of PTRACE_TRACEME's child or of what a tracee made.
    ptrace(PTRACE_SETOPTIONS, pid, nullptr, options);
    resume(pid, signal == SIGSTOP || signal == SIGTRAP ? 0 : signal);
    return true;
  }
  if (event == PTRACE_EVENT_EXIT) {
    note_files(pid);
  }
  if (event == PTRACE_EVENT_EXEC) {
    mappings_.erase(pid);
  }
  const bool ours = event != 0 || (signal == SIGTRAP && trap(pid));
  resume(pid, ours ? 0 : signal);
  return true;
}

void Trace::note_files(pid_t pid) {
  if (serving_ && programs_.contains(program_of(pid))) {
    for (const Mapping& mapping : code_of(pid)) {
      files_.insert(mapping.path);
    }
  }
}

void Trace::serving() {
  serving_ = true;
  for (const pid_t pid : tracees_) {
    programs_.insert(program_of(pid));
  }
  files();
}

std::set<std::string> Trace::files() {
  for (const pid_t pid : tracees_) {
    note_files(pid);
  }
  return files_;
}

}  // namespace selfheal::cli::campaign
