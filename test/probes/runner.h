// Runs a scenario of the subject and tells all that can be seen of it from outside.
#pragma once

#include <signal.h>
#include <string>
#include <sys/user.h>

#include "test/probes/events.h"

namespace probes_test {

struct Outcome {
  std::string output;  // what it printed
  int status = 0;      // as from waitpid
  bool timed_out = false;

  // Of the last signal delivered before it died; only looked at for processes a signal ended.
  siginfo_t fatal{};
  user_regs_struct registers{};

  Events events{};  // zero without the recorder
};

enum class How { native, preloaded };

// `traced`: fatal and registers are wanted.
Outcome run(const std::string& scenario, How how, bool traced = false, const char* mode = "");

// "exit 3", "signal 11"
std::string describe(const Outcome& outcome);

// Runs both ways; the preloaded one is returned after it was compared with the native one.
Outcome same_as_native(const std::string& scenario);

// The same for a scenario that ends by a signal: siginfo and registers at death as well.
Outcome dies_as_native(const std::string& scenario, const char* mode = "");

}  // namespace probes_test
