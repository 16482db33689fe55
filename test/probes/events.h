// What the recorder notes about a process, in a file both sides map.
#pragma once

#include "lib/base/fault.h"

namespace probes_test {

struct Events {
  unsigned faults;    // Hooks::fault
  unsigned prepares;  // Hooks::prepare
  unsigned commits;   // Hooks::commit
  unsigned threads_started;
  unsigned threads_ended;
  unsigned progress;
  unsigned fork_children;
  unsigned filters;
  unsigned thread_faults;
  unsigned answer_of_sigreturn;
  unsigned guarded_failures;
  unsigned arrivals;      // Hooks::thread_signal
  unsigned other_faults;  // of faults: signals that were sent
  selfheal::u64 generation;
  selfheal::Fault last;     // of faults
  selfheal::Fault pending;  // of prepares
  unsigned records() const { return faults + commits; }
};

// Names of environment variables.
inline constexpr const char* events_variable = "PROBES_TEST_EVENTS";  // the file
inline constexpr const char* mode_variable = "PROBES_TEST_MODE";      // see recorder.cpp

}  // namespace probes_test
