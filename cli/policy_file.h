// Policy as people write it: TOML files of rules (docs/policy.md).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/result.h"
#include "lib/store/rules.h"

namespace selfheal::cli {

// The rules of one file, in its order. Fails with FILE:LINE and what is wrong there; an unknown key
// is wrong.
Result<std::vector<store::Rule>> read_policy_file(const std::filesystem::path& path);

// Where policy is looked for, those that exist: /etc/selfheal/policy.toml, /etc/selfheal/policy.d/
// *.toml in the order of their names, $XDG_CONFIG_HOME/selfheal/policy.toml. A later one has the
// last word.
std::vector<std::filesystem::path> policy_files();

}  // namespace selfheal::cli
