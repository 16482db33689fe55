// One fault, from the first run to the verdict: what pid 1 of a cell does. Also the runs without a
// fault that come before all: the reference, and what is executed.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/campaign/copy.h"
#include "cli/campaign/draw.h"
#include "cli/campaign/verdict.h"
#include "cli/format.h"

namespace selfheal::cli::campaign {

struct Setting {
  Server server;
  std::string library;  // libselfheal.so
  std::string options;  // SELFHEAL_OPTIONS of the runs under the runtime
  unsigned runs = 2;
  Answers reference;
};

// All of these are run in a cell, with `folder` (absolute, empty) for everything they write, and
// give JSON: {"error": TEXT} when the server or the workload cannot be used.

// Without runtime and fault, the workload twice: {"answers": ..., "files": [...]}: files that the
// server has mapped as code.
std::string survey(const Setting& setting, const std::string& folder);

// `trapped`: (changed copy, path). {"seen": {path: {address: "start-up"|"serving"}}}
struct TrapFile {
  std::string copy;
  std::string path;
  std::map<u64, u8> original;
  u64 bias;
};
std::string cover(const Setting& setting, const std::string& folder,
                  const std::vector<TrapFile>& trapped);

// With the runtime, without a fault: {"run": ...}; the error says what is not as in the reference.
std::string control(const Setting& setting, const std::string& folder);

// `changed` is the copy of `path` with the fault in it.
// {"verdict", "what", "run", "first": RUN, "last": RUN}
std::string try_fault(const Setting& setting, const std::string& folder, Kind kind,
                      const std::string& changed, const std::string& path);

}  // namespace selfheal::cli::campaign
