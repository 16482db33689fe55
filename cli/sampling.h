// Has a hanging or growing program look at its own threads, and write down what they do.
//
//   rounds:  ask every thread that runs to keep its stack ─► wait until it has run again ─► …
//   end:     a thread that ran between all looks concludes: what activation of a function was it
//            in, all the time?                                       (lib/runtime, asked.h)
//            none did: every thread waits, and the likeliest to wait in vain tell where
//
// The processor time between two looks is the thread's own, so a loaded machine only makes it take
// longer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/supervisor.h"

namespace selfheal::cli {

struct Sampling {
  std::string library;                   // whose handler must be there
  std::function<u64()> faults_recorded;  // by anybody in the store
};

// Returns how many records were made: 0 where no process has the library or none answered in time.
u64 sample_program(const Sampling& sampling, const Trouble& trouble,
                   const std::vector<pid_t>& processes, const Pause& pause);

// What the threads wait for: "every thread waits: 3 in futex, 1 in epoll_wait"; "" when one runs.
std::string waiting_text(const std::vector<pid_t>& processes);

}  // namespace selfheal::cli
