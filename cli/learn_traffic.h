// Good and bad traffic: marked by the user, or driven by us.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/session.h"
#include "cli/store_access.h"
#include "lib/store/learning.h"

namespace selfheal::cli {

// What to watch besides the functions that faults were recorded of.
struct WatchList {
  std::vector<std::string> functions;  // MODULE!FUNCTION or MODULE+0xOFFSET
  bool all = false;                    // all of the program itself
};
Result<std::vector<store::WatchRequest>> watch_requests(const WatchList& list);

// Begins a period; from `off` on everything is counted anew. Running processes follow at their next
// blocking call.
Outcome mark_period(OpenStore& opened, store::Period period, const WatchList& list);

struct Traffic {
  std::string good;  // shell commands
  std::string bad;
  std::string ready;
  int port = 0;
  std::chrono::milliseconds timeout{60'000};  // of each command
  WatchList watch;
};

// Starts the program, has it do what is good and then what is bad, and ends it.
Outcome drive(const Session& session, OpenStore& opened, const Traffic& traffic);

// What the counts say by now goes to the functions' file. What the user has set stays.
Outcome keep_learned(OpenStore& opened);

}  // namespace selfheal::cli
