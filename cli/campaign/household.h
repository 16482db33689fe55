// What pid 1 of a cell does: starts processes, reaps them all, and looks at those that live.
//
// Everything waits in `pump`, which handles what children report and comes back at least every 20
// ms; so a trace can be followed (trace.h) while conditions are polled. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "lib/base/types.h"

namespace selfheal::cli::campaign {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Start {
  std::vector<std::string> arguments;    // [0]: the file to execute
  std::vector<std::string> environment;  // "NAME=value"
  std::string folder;
  std::string output;  // file that stdout goes to
  std::string errors;  // file that stderr goes to
  bool traced = false;
};

// A process as /proc shows it.
struct Sight {
  pid_t pid = 0;
  u64 started = 0;  // in clock ticks; with the pid this is a process's identity
  u64 ticks = 0;    // of processor time
  u64 threads = 0;
  u64 descriptors = 0;
  u64 resident = 0;  // RssAnon, KiB
  std::string name;
};

// What a trace wants to know of waited-for children. True: it was a stop, and was dealt with.
using WaitHook = std::function<bool(pid_t, int)>;

class Household {
 public:
  Household();
  void set_hook(WaitHook hook) { hook_ = std::move(hook); }

  // -1 when it could not be forked. In a session of its own.
  pid_t start(const Start& start);

  // Handles what children report; returns after at most 20 ms without a report.
  void pump();

  // Pumps until `done`; false: the deadline came first.
  bool pump_until(const std::function<bool()>& done, Clock::time_point deadline);

  // The wait status of a child, or of an orphan, that has ended.
  std::optional<int> status(pid_t pid) const;

  // Runs a command to its end; no value: it took too long and was ended.
  std::optional<int> run(const Start& start, Clock::time_point deadline);

  // Ends a process and everything in its session.
  void end_session(pid_t leader);

  // All processes of the cell but this one, threads included in their figures.
  std::vector<Sight> processes() const;

  // Does a thread of theirs want the processor, though others may have it?
  bool any_runs() const;

  // SIGKILL for everything in the cell but us, until nothing is left.
  void end_all();

 private:
  std::map<pid_t, int> ended_;
  WaitHook hook_;
};

}  // namespace selfheal::cli::campaign
