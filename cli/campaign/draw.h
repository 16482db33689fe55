// Which faults are injected, and in which order.
//
// Every candidate gets a rank, a hash of seed, build-id, address and kind, and the order is that of
// the ranks: the same list for the same seed and build-ids, on any machine; and where two runs saw
// slightly different functions executed, the lists differ in just those.
//
// Entries, middles and jumps are drawn in turn (entry, middle, entry, jump, ...), so half of the
// faults are not at a function's entry.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/campaign/faults.h"

namespace selfheal::cli::campaign {

// When a place was first executed.
enum class Seen : u8 { never, start_up, serving };

struct Target {
  std::unique_ptr<Binary> binary;
  std::vector<Place> places;
  std::map<u64, Seen> seen;  // by address; absent: never
};

struct Candidate {
  const Target* target;
  Place place;
  Kind kind;
  Seen seen;

  std::string id() const;  // "nginx+0x1234:null"
};

struct Drawing {
  u64 seed = 1;
  std::vector<Kind> kinds;
  bool all_functions = false;  // else those executed
};

// One candidate for each executed function, kind and position, in the order to be tried.
std::vector<Candidate> draw(const std::vector<Target>& targets, const Drawing& drawing);

// The candidate an id names. Fails when there is none.
Result<Candidate> find_candidate(const std::vector<Target>& targets, const std::string& id);

}  // namespace selfheal::cli::campaign
