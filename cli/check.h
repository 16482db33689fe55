// One thing `selfheal doctor` looked at.
#pragma once

#include <string>
#include <vector>

namespace selfheal::cli {

enum class Health {
  fine,
  note,     // good to know
  warning,  // works, but not everything, or not for everybody
  failure,  // will not work
};

struct Check {
  std::string name;  // "linkage", stable: part of the JSON
  Health health;
  std::string message;  // what was found
  std::string advice;   // what to do; "" where there is nothing
};

using Checks = std::vector<Check>;

const char* name_of(Health health);

// The first failure's message, or "".
std::string first_failure(const Checks& checks);

}  // namespace selfheal::cli
