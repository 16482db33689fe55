#include "test/probes/runner.h"

#include <catch2/catch.hpp>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace probes_test {

using selfheal::u64;

namespace {

constexpr long deadline_ms = 20000;

long now_ms() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

[[noreturn]] void become_subject(const std::string& scenario, How how, bool traced,
                                 const char* mode, int out, const char* events) {
  dup2(out, STDOUT_FILENO);
  setpgid(0, 0);
  personality(ADDR_NO_RANDOMIZE);
  setenv(events_variable, events, 1);
  setenv(mode_variable, mode, 1);
  if (how == How::preloaded) {
    setenv("LD_PRELOAD", RECORDER, 1);
  } else {
    // As many strings of the same length, so that stacks lie at the same addresses.
    setenv("XX_PRELOAD", RECORDER, 1);
  }
  if (traced) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  }
  execl(SUBJECT, SUBJECT, scenario.c_str(), nullptr);
  _exit(127);
}

// One report of wait. True when the subject itself is gone.
bool handle_status(pid_t child, pid_t reported, int status, bool& seen_exec, Outcome& outcome) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    if (reported == child) {
      outcome.status = status;
    }
    return reported == child;
  }
  long deliver = 0;
  const int signal = WSTOPSIG(status);
  const bool event = status >> 16 != 0;
  if (signal == SIGTRAP && !event && !seen_exec) {
    seen_exec = true;
    ptrace(PTRACE_SETOPTIONS, child, nullptr,
           PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  } else if (!event) {
    siginfo_t info{};
    // A new thread's first stop is a SIGSTOP nobody sent.
    if (signal != SIGSTOP && ptrace(PTRACE_GETSIGINFO, reported, nullptr, &info) == 0) {
      outcome.fatal = info;
      ptrace(PTRACE_GETREGS, reported, nullptr, &outcome.registers);
      deliver = signal;
    }
  }
  ptrace(PTRACE_CONT, reported, nullptr, deliver);
  return false;
}

void drain(int pipe, std::string& output) {
  char buffer[4096];
  ssize_t size;
  while ((size = read(pipe, buffer, sizeof buffer)) > 0) {
    output.append(buffer, static_cast<size_t>(size));
  }
}

void wait_for_end(pid_t child, int pipe, Outcome& outcome) {
  const long start = now_ms();
  bool seen_exec = false;
  for (;;) {
    int status = 0;
    const pid_t reported = waitpid(-1, &status, WNOHANG | __WALL);
    if (reported > 0) {
      if (handle_status(child, reported, status, seen_exec, outcome)) {
        return;
      }
      continue;
    }
    if (now_ms() - start > deadline_ms) {
      outcome.timed_out = true;
      kill(-child, SIGKILL);
      waitpid(child, &outcome.status, __WALL);
      return;
    }
    drain(pipe, outcome.output);
    const timespec pause{0, 500000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

Outcome run(const std::string& scenario, How how, bool traced, const char* mode) {
  Outcome outcome;
  char path[] = "/tmp/probes_events_XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  REQUIRE(ftruncate(file, sizeof(Events)) == 0);
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const pid_t child = fork();
  if (child == 0) {
    fcntl(ends[1], F_SETFL, 0);
    become_subject(scenario, how, traced, mode, ends[1], path);
  }
  REQUIRE(child > 0);
  close(ends[1]);
  wait_for_end(child, ends[0], outcome);
  drain(ends[0], outcome.output);
  close(ends[0]);
  REQUIRE(pread(file, &outcome.events, sizeof(Events), 0) == sizeof(Events));
  close(file);
  unlink(path);
  return outcome;
}

std::string describe(const Outcome& outcome) {
  if (outcome.timed_out) {
    return "timed out";
  }
  return WIFSIGNALED(outcome.status) ? "signal " + std::to_string(WTERMSIG(outcome.status))
                                     : "exit " + std::to_string(WEXITSTATUS(outcome.status));
}

namespace {

void require_same(const Outcome& native, const Outcome& preloaded) {
  REQUIRE_FALSE(native.timed_out);
  CHECK(preloaded.output == native.output);
  CHECK(describe(preloaded) == describe(native));
  CHECK(native.output.find("unknown scenario") == std::string::npos);
}

}  // namespace

Outcome same_as_native(const std::string& scenario) {
  INFO("scenario " << scenario);
  const Outcome native = run(scenario, How::native);
  Outcome preloaded = run(scenario, How::preloaded);
  require_same(native, preloaded);
  return preloaded;
}

Outcome dies_as_native(const std::string& scenario, const char* mode) {
  INFO("scenario " << scenario);
  const Outcome native = run(scenario, How::native, true);
  Outcome preloaded = run(scenario, How::preloaded, true, mode);
  require_same(native, preloaded);
  REQUIRE(WIFSIGNALED(native.status));
  CHECK(preloaded.fatal.si_signo == native.fatal.si_signo);
  CHECK(preloaded.fatal.si_code == native.fatal.si_code);
  if (native.fatal.si_code <= 0) {
    CHECK((preloaded.fatal.si_pid != 0) == (native.fatal.si_pid != 0));
    CHECK(preloaded.fatal.si_uid == native.fatal.si_uid);
    CHECK(preloaded.fatal.si_value.sival_int == native.fatal.si_value.sival_int);
    return preloaded;
  }
  const auto address = [](const Outcome& o) { return reinterpret_cast<u64>(o.fatal.si_addr); };
  if (address(native) - native.registers.rsp + 0x10000 >= 0x20000) {
    // Not the end of a stack, which may lie elsewhere, and be met by another instruction. So may
    // mappings, but by whole pages.
    CHECK(preloaded.registers.rip == native.registers.rip);
    CHECK(address(preloaded) % 4096 == address(native) % 4096);
    CHECK(preloaded.registers.r12 == native.registers.r12);
    CHECK((preloaded.registers.eflags & 0x8d5) == (native.registers.eflags & 0x8d5));
  }
  return preloaded;
}

}  // namespace probes_test
