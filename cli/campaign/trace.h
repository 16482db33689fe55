// Which places of the server's files its processes execute, without anything in them but int3:
//
//   copy of the file, 0xcc at each place    ◄── bind-mounted over the original, in a cell
//        │  a process comes by: SIGTRAP
//        ▼
//   tracer: notes the place, writes the original byte back (/proc/PID/mem: into that process's own
//   copy of the page), rip -= 1, goes on: each place costs one stop for each process
//
// Two threads may trap at once: the second finds the byte written back already, and goes on too.
// Everything the server forks or executes is traced; PTRACE_O_EXITKILL ends it with us.
#pragma once

#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "lib/base/types.h"

namespace selfheal::cli::campaign {

class Trace {
 public:
  // The places of one file, by the path that processes map.
  struct Trapped {
    std::map<u64, u8> original;    // ELF virtual address -> the byte that int3 stands for
    std::map<u64, bool> executed;  // address -> first executed while serving
    u64 bias = 0;                  // virtual address - offset in the file, of its code
  };

  void add(const std::string& path, Trapped trapped) { trapped_[path] = std::move(trapped); }

  // A household's hook: true when the report was a tracee's stop.
  bool handle(pid_t pid, int status);

  // The server is ready: the programs that run now are the server's, and places executed from now
  // on are executed while serving.
  void serving();

  // Files that processes of the server's programs had mapped as code when they became ready, when
  // they ended, or now.
  std::set<std::string> files();

  const std::map<std::string, Trapped>& trapped() const { return trapped_; }

  // Signals that ended a process, of those that faults raise.
  const std::multiset<int>& deaths() const { return deaths_; }

 private:
  struct Mapping {
    u64 start;
    u64 end;
    u64 offset;
    std::string path;
  };

  static std::vector<Mapping> code_of(pid_t pid);
  bool trap(pid_t tid);
  Trapped* home_of(pid_t tid, u64 address, u64& place);
  void note_files(pid_t pid);

  std::map<std::string, Trapped> trapped_;
  std::map<pid_t, std::vector<Mapping>> mappings_;  // as last seen
  std::set<std::string> files_;
  std::set<std::string> programs_;
  std::set<pid_t> tracees_;
  std::multiset<int> deaths_;
  bool serving_ = false;
};

}  // namespace selfheal::cli::campaign
