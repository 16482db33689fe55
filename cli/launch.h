// Finding and starting a program as `env` does, with its exit statuses.
#pragma once

#include <string>
#include <vector>

#include "cli/result.h"

namespace selfheal::cli {

// As env(1) and POSIX's shell language have them.
inline constexpr int exit_own_failure = 125;
inline constexpr int exit_cannot_execute = 126;
inline constexpr int exit_not_found = 127;

struct Launch {
  std::string path;  // what is executed
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"
};

// Searches PATH as execvp does. Fails with status 126 or 127.
Result<std::string> find_program(const std::string& name);

// Replaces this process. Returns errno when that fails.
int execute(const Launch& launch);

// What to say, and to exit with, when `execute` failed.
Failure launch_failure(const std::string& path, int error);

// Environment arrays as vectors.
std::vector<std::string> current_environment();
std::string* find_variable(std::vector<std::string>& environment, const std::string& name);
void set_variable(std::vector<std::string>& environment, const std::string& name,
                  const std::string& value);
void unset_variable(std::vector<std::string>& environment, const std::string& name);

}  // namespace selfheal::cli
