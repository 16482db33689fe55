// What has to be known of a server before faults are put into it: its right answers, the files it
// runs, and which places in them it comes by. Kept in a file, so that a campaign that is resumed or
// repeated draws from the same.
#pragma once

#include <string>
#include <vector>

#include "cli/campaign/draw.h"
#include "cli/campaign/trial.h"

namespace selfheal::cli::campaign {

struct Study {
  Answers reference;
  std::vector<Target> targets;
};

struct StudyRequest {
  std::vector<std::string> modules;  // patterns (glob) of base names; empty: all but libc's family
  std::string key;                   // of what was asked; another key: studied anew
  bool all_functions = false;        // coverage is not needed
};

// Takes the study from `folder`/study.json where it fits, or makes it. Fills `setting.reference`.
Result<Study> study_server(Setting& setting, const StudyRequest& request,
                           const std::string& folder);

}  // namespace selfheal::cli::campaign
