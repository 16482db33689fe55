// The library's options as flags of a command: one flag for each row of lib/options' table.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <string>
#include <vector>

#include "cli/result.h"
#include "lib/options/options.h"

namespace selfheal::cli {

// The values given on the command line, by option, in the order given.
struct Settings {
  std::array<std::vector<std::string>, options::option_count> values;
  std::array<bool, options::option_count> flags = {};
};

// All options but `store`, which every command has anyway. `settings` must outlive the parse.
void add_settings(CLI::App& command, Settings& settings);

// The environment's settings and on top of them the command line's, each with where it came from.
// What is wrong in the environment is said on stderr; what is wrong on the command line fails with
// `status`.
Result<options::Options> merged_options(const Settings& settings, int status);

// The options as SELFHEAL_OPTIONS has them.
std::string settings_text(const options::Options& options);

// One option's value as text.
std::string value_text(const options::Options& options, options::OptionId id);

}  // namespace selfheal::cli
