// What became of one fault: judged from what was seen of its runs, by rules that know nothing of
// how it was seen.
//
//   first run   the server with the fault and the runtime, nothing known: the fault must be
//   recorded then        up to --runs: the server with the fault, started anew with what was
//   recorded.
//               healed: all processes that were there when it was ready are there still, each
//               answer that is not the reference's is an error (another refusal is one, too),
//               there are not more errors than heals in the journal, the check passes, nothing was
//               kept
#pragma once

#include <string>
#include <vector>

#include "cli/campaign/copy.h"
#include "cli/campaign/faults.h"
#include "cli/format.h"

namespace selfheal::cli::campaign {

enum class Verdict : u8 {
  healed,      // survived
  stopped,     // ended, as the catalog's policy says
  crash,       // a process ended that should not have
  hang,        // computes or waits for ever, or does not serve any more
  wrong,       // an answer of another kind than the reference's, or more errors than heals
  leak,        // more descriptors, threads, processes or memory after each workload
  unrecorded,  // the first run died or hung, and nothing was written down
  // Not counted; another fault is drawn in the place of all but `start_up`.
  start_up,   // the server does not become ready with it
  no_effect,  // nothing was different in the first run
  silent,     // answers were different, but nothing died or hung: no fault a runtime could see
};
inline constexpr size_t verdict_count = 10;
const char* name_of(Verdict verdict);
std::optional<Verdict> verdict_named(std::string_view name);
bool counts(Verdict verdict);
bool survived(Verdict verdict);

// One run of the server.
struct RunSeen {
  bool ready = false;
  bool late = false;                // the workload did not end in time
  bool busy = false;                // afterwards a process went on computing, or did not go away
  bool serves = false;              // the check passed
  bool check_healed = false;        // it did not: its own requests were healed to errors
  bool died = false;                // traced only: a process died of a fault
  std::vector<std::string> gone;    // long-lived processes that ended
  std::vector<std::string> errors;  // answers that are errors and are none in the reference
  std::vector<std::string> wrong;   // other answers that are not the reference's
  std::vector<std::string> leaks;
  std::vector<std::string> faults;  // what was recorded in this run
  bool all_stop = false;            // ... and that policy stops all of it
  u64 heals = 0;
  bool other_remedy = false;  // a region in the catalog is kept from its fault without a heal
};

// Compares with the reference; appends to errors and wrong.
void compare(const Answers& reference, const Answers& answers, RunSeen& run);

// A jump taken the wrong way is a wrong decision, too, where it does not crash. Takes out of `run`
// what the server answered likewise when nothing was healed; how many answers that were.
size_t forgive_own(RunSeen& run, const RunSeen& unhealed);

struct Judged {
  Verdict verdict;
  std::string what;  // in words, for people
};

// `silent` where only a traced repetition (`died`) can tell a crash from a wrong decision.
Judged judge_first(Kind kind, const RunSeen& run);
bool needs_trace(Kind kind, const RunSeen& run);

Judged judge_later(const RunSeen& run);

Json json_run(const RunSeen& run);

}  // namespace selfheal::cli::campaign
