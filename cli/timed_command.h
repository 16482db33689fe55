// Running something with an end to it: a shell command, or a recorded request to a port.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace selfheal::cli {

struct CommandEnd {
  bool late = false;    // it did not end in time, and was killed with all it had started
  int wait_status = 0;  // of the command; of a recorded request 0, or 1 << 8 without an answer
  std::string output;   // stdout and stderr, up to a megabyte

  bool good() const { return !late && wait_status == 0; }
};

// /bin/sh -c `command` with `environment`, in a process group of its own; stdin is empty.
CommandEnd run_command(const std::string& command, const std::vector<std::string>& environment,
                       std::chrono::milliseconds timeout);

// Sends `bytes` to 127.0.0.1:port; the answer is what comes until the other side closes or is
// quiet for a while.
CommandEnd send_request(const std::string& bytes, int port, std::chrono::milliseconds timeout);

// Does anybody listen there?
bool listens(int port);

}  // namespace selfheal::cli
