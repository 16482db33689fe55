// Instructions that once differed, each to be run from many states.
#pragma once

#include <span>

namespace selfheal::differential {

struct Regression {
  const char* code;  // hexadecimal
  const char* what;  // went wrong
};

std::span<const Regression> regressions();

}  // namespace selfheal::differential
