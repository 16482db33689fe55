// One candidate tried out: a fresh copy of the server, in a store of its own, is brought to its
// fault and looked at.
//
//   copy of the catalog, the candidate pinned ──► server ──ready?──► request ──► check
//                                                             └──► requests, again ──► leaks?
//   what the server left in that store says whether it was healed, by what, and whether it faulted
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/launch.h"
#include "cli/store_access.h"
#include "lib/store/levels.h"

namespace selfheal::cli {

struct Reproducer {
  Launch server;             // without the library: that and the store are added here
  std::string input;         // a file for the server's stdin; "": empty
  std::string request;       // a shell command
  std::string request_file;  // or bytes for `port`
  int port = 0;
  std::string check;                          // exit status 0: all is as it should be
  std::string ready;                          // exit status 0: the server can be asked
  std::chrono::milliseconds timeout{10'000};  // of each step
  unsigned repeat = 4;                        // further requests, to see what grows
};

struct Rehearsal {
  store::Verdict verdict = store::Verdict::none;
  std::string detail;       // why, in a clause
  bool reproduced = false;  // the region faulted, and the candidate dealt with it
  bool unfit = false;       // its function turned out to be no rescue point
  std::chrono::milliseconds took{0};
  u64 value = 0;  // what was returned, and why
  ValueReason reason = ValueReason::none;
};

// Fails only where nothing can be tried out at all (the server does not start).
Result<Rehearsal> rehearse(const OpenStore& live, const store::CatalogEntry& entry,
                           store::Candidate candidate, const Reproducer& reproducer);

}  // namespace selfheal::cli
