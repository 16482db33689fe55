// How commands end: with an exit status, or with one line that says what is wrong and what to do.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace selfheal::cli {

inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;

struct Failure {
  std::string message;  // without "selfheal: " and newline
  int status = exit_failure;
};

template <typename T>
using Result = tl::expected<T, Failure>;

// The exit status of a command that did its work.
using Outcome = Result<int>;

inline tl::unexpected<Failure> fail(std::string message, int status = exit_failure) {
  return tl::unexpected<Failure>(Failure{std::move(message), status});
}

}  // namespace selfheal::cli
