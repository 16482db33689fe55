// Records that no probe inside could make: what the supervisor saw from outside. They go to the
// same journal, with no function to blame, and `selfheal list` shows them below the regions.
#pragma once

#include <string>
#include <sys/types.h>

#include "lib/base/fault.h"

namespace selfheal::cli {

struct Event {
  pid_t pid = 0;
  FaultKind kind = FaultKind::none;
  int signal = 0;       // that ended the process
  u64 used = 0;         // memory_growth: bytes
  std::string message;  // cut to the record's space
};

// False, after a line on stderr, when the store cannot be written.
bool record_event(const std::string& store_path, const Event& event);

}  // namespace selfheal::cli
