#include "cli/campaign/holdings.h"

#include <fmt/core.h>

namespace selfheal::cli::campaign {
namespace {

constexpr u64 memory_slack = 512;  // KiB a workload may leave behind without being looked at twice
constexpr u64 memory_leak = 256;   // KiB that are a leak when each workload leaves them behind

bool more_is_held(const Holdings& before, const Holdings& after) {
  return after.descriptors > before.descriptors || after.threads > before.threads ||
         after.processes > before.processes;
}

}  // namespace

Holdings holdings(const Copy& copy) {
  Holdings sum;
  for (const Sight& sight : copy.processes()) {
    sum.descriptors += sight.descriptors;
    sum.threads += sight.threads;
    sum.memory += sight.resident;
    ++sum.processes;
  }
  return sum;
}

bool grew(const Holdings& before, const Holdings& after) {
  return more_is_held(before, after) || after.memory > before.memory + memory_slack;
}

bool only_memory_grew(const Holdings& before, const Holdings& after) {
  return !more_is_held(before, after) && after.memory >= before.memory + memory_leak;
}

std::vector<std::string> leaks_of(const std::vector<Holdings>& looks) {
  std::vector<std::string> leaks;
  const auto each = [&](const char* what, u64 Holdings::*field, u64 least) {
    std::string steps;
    for (size_t i = 1; i < looks.size(); ++i) {
      if (looks[i].*field < looks[i - 1].*field + least) {
        return;
      }
      steps +=
          fmt::format("{}{}", steps.empty() ? "" : ", ", looks[i].*field - looks[i - 1].*field);
    }
    leaks.push_back(fmt::format("{} more {} after each workload", steps, what));
  };
  each("descriptors", &Holdings::descriptors, 1);
  each("threads", &Holdings::threads, 1);
  each("processes", &Holdings::processes, 1);
  each("KiB", &Holdings::memory, memory_leak);
  return leaks;
}

Holdings when_given_back(Copy& copy, const Holdings& before) {
  copy.linger([&] { return !more_is_held(before, holdings(copy)); });
  return holdings(copy);
}

}  // namespace selfheal::cli::campaign
