// What /proc says of a program and all its descendants (proc(5)). Processes come and go while it is
// read: one that is gone has nothing to tell, and that is no error.
#pragma once

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

#include "lib/base/types.h"

namespace selfheal::cli {

// `program`, and whoever descends from it or was adopted by us in its place: all descendants of
// this process but the subtrees of `strangers` (health commands). The program comes first.
std::vector<pid_t> program_processes(pid_t program, const std::vector<pid_t>& strangers);

struct ThreadState {
  pid_t tid = 0;
  char state = '?';  // R running, S waiting, D waiting for a device, T stopped, Z a zombie, …
  std::chrono::milliseconds used{0};  // processor time
  int waits_in = -1;                  // system call number; -1: none, or unknown
};

std::vector<ThreadState> threads_of(pid_t pid);

// Bytes in memory: what the process would give back if it ended alone (PSS: a page shared by n
// processes counts 1/n), or, where the kernel does not tell that, all it has mapped of memory.
u64 resident_bytes(pid_t pid);
u64 proportional_bytes(pid_t pid);

// The library is loaded and, unless it is switched off, its handler for this signal in place. It
// stays out of Go programs, which have one of their own.
bool has_library(pid_t pid, const std::string& library, int signal);

}  // namespace selfheal::cli
