// A server that is started for a while, asked this and that, and ended with all it has started.
#pragma once

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

#include "cli/launch.h"

namespace selfheal::cli {

// `launch` with the library preloaded, its store named, and `options` behind those it has.
Result<Launch> launch_with_library(Launch launch, const std::string& store,
                                   const std::string& options);

// The server and all it has started; gone with this object.
class ServerProcess {
 public:
  // `input`: a file for its stdin; empty: nothing. What it prints is thrown away, or kept in a
  // file.
  ServerProcess(Launch launch, std::string input, std::string output)
      : launch_(std::move(launch)), input_(std::move(input)), output_(std::move(output)) {}
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { end(); }

  Outcome start();
  bool ended();
  int wait_status() const { return status_; }
  std::vector<pid_t> processes() const;

  // SIGTERM, and SIGKILL for what does not hear it.
  void end();

 private:
  Launch launch_;
  std::string input_;
  std::string output_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

// How to tell that it can be asked.
struct Readiness {
  std::string command;  // ends with status 0; empty: ...
  int port = 0;         // somebody listens there; 0: all its threads have waited for a while
  std::chrono::milliseconds timeout;
  std::vector<std::string> environment;  // the command's
};

Outcome wait_until_ready(ServerProcess& server, const Readiness& readiness);

}  // namespace selfheal::cli
