// Which fault is tried when: several cells at once, results written down as they come, so that a
// campaign that was ended goes on where it was.
//
// A fault is started only when those that count and those still in the air are fewer than wanted.
// So the faults tried are always the shortest beginning of the list with enough that count,
// however many run at once and in which order they end.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/campaign/draw.h"
#include "cli/campaign/trial.h"

namespace selfheal::cli::campaign {

struct Finding {
  std::string id;
  std::string module;
  std::string function;
  std::string position;
  std::string kind;
  Verdict verdict = Verdict::no_effect;
  std::string what;
  unsigned run = 1;    // the run it was judged by
  std::string folder;  // kept files; "" when there are none
  Json first;
  Json last;
};

Json json_finding(const Finding& finding);

struct Schedule {
  size_t sample = 100;
  unsigned jobs = 1;
  bool keep = false;
  std::string folder;
  std::map<std::string, Json> done;  // of an earlier start, by id
  std::function<void(const Finding&, size_t counted)> report;
};

// The results of an earlier start with the same head, its first line, by id; a torn last line is
// left out. Begins the file when there is none. Fails when the results are of something else.
Result<std::map<std::string, Json>> earlier_results(const std::string& file,
                                                    const std::string& head);

// In the order of the candidates.
Result<std::vector<Finding>> try_all(const Setting& setting,
                                     const std::vector<Candidate>& candidates,
                                     const Schedule& schedule);

}  // namespace selfheal::cli::campaign
