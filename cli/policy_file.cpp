#include "cli/policy_file.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/core.h>
#include <toml++/toml.h>

#include "lib/store/format.h"

namespace selfheal::cli {
namespace {

namespace fs = std::filesystem;
using store::Rule;
using store::RuleMode;

// The first thing that is wrong ends the reading.
class RuleReader {
 public:
  explicit RuleReader(std::string path) : path_(std::move(path)) {}

  Result<std::vector<Rule>> read(const toml::table& document) {
    std::string program;
    for (const auto& [key, value] : document) {
      if (key == "program") {
        text(key, value, program);
      } else if (key == "rule" && value.is_array_of_tables()) {
        read_rules(*value.as_array());
      } else {
        wrong(value, fmt::format("'{}' is neither 'program' nor a [[rule]]", key.str()));
      }
    }
    for (Rule& rule : rules_) {
      if (rule.program[0] == '\0') {
        fill(rule.program, program);
      }
    }
    return failure_.empty() ? Result<std::vector<Rule>>(std::move(rules_)) : fail(failure_);
  }

 private:
  void wrong(const toml::node& where, const std::string& what) {
    if (failure_.empty()) {
      failure_ = fmt::format("{}:{}: {}", path_, where.source().begin.line, what);
    }
  }

  void read_rules(const toml::array& rules) {
    for (const toml::node& node : rules) {
      Rule rule{};
      for (const auto& [key, value] : *node.as_table()) {
        setting(key.str(), value, rule);
      }
      if (rules_.size() == store::max_rules) {
        wrong(node, fmt::format("more than {} rules", store::max_rules));
      }
      rules_.push_back(rule);
    }
  }

  void setting(std::string_view key, const toml::node& value, Rule& rule) {
    if (key == "program") {
      pattern(key, value, rule.program);
    } else if (key == "module") {
      pattern(key, value, rule.module);
    } else if (key == "function") {
      pattern(key, value, rule.function);
    } else if (key == "build-id") {
      build_id(value, rule);
    } else if (key == "mode") {
      mode(value, rule);
    } else if (key == "value") {
      rule.value_set = 1;
      rule.value = static_cast<u64>(number(key, value, INT64_MIN, INT64_MAX));
    } else if (key == "errno") {
      rule.error_set = 1;
      rule.error_number = static_cast<i32>(number(key, value, 0, 4095));
    } else if (key == "level") {
      rule.level_set = 1;
      rule.level = static_cast<u8>(number(key, value, 0, store::max_levels - 1));
    } else if (key == "heal-percent") {
      rule.percent_set = 1;
      rule.percent = static_cast<u8>(number(key, value, 0, 100));
    } else {
      wrong(value, fmt::format("a rule has no '{}'", key));
    }
  }

  void text(std::string_view key, const toml::node& value, std::string& out) {
    const auto given = value.value_exact<std::string>();
    if (!given) {
      wrong(value, fmt::format("'{}' has to be a text in quotes", key));
      return;
    }
    out = *given;
  }

  template <size_t size>
  void fill(char (&out)[size], const std::string& from) {
    std::memcpy(out, from.data(), std::min(from.size(), size - 1));
  }

  template <size_t size>
  void pattern(std::string_view key, const toml::node& value, char (&out)[size]) {
    std::string given;
    text(key, value, given);
    if (given.size() >= size || given.find('\0') != std::string::npos) {
      wrong(value, fmt::format("'{}' is longer than {} bytes", key, size - 1));
      return;
    }
    fill(out, given);
  }

  void build_id(const toml::node& value, Rule& rule) {
    std::string digits;
    text("build-id", value, digits);
    const bool hexadecimal = digits.find_first_not_of("0123456789abcdefABCDEF") == digits.npos;
    if (!hexadecimal || digits.empty() || digits.size() % 2 != 0 ||
        digits.size() > 2 * sizeof rule.build_id) {
      wrong(value, "'build-id' has to be an even number of hexadecimal digits, at most 40");
      return;
    }
    rule.build_id_size = static_cast<u8>(digits.size() / 2);
    for (size_t i = 0; i < rule.build_id_size; ++i) {
      rule.build_id[i] = static_cast<u8>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    }
  }

  void mode(const toml::node& value, Rule& rule) {
    std::string given;
    text("mode", value, given);
    std::string known;
    for (u8 i = 1; i <= static_cast<u8>(store::last_rule_mode); ++i) {
      const auto candidate = static_cast<RuleMode>(i);
      if (given == name_of(candidate)) {
        rule.mode = candidate;
        return;
      }
      known += std::string(i == 1 ? "" : ", ") + name_of(candidate);
    }
    wrong(value, fmt::format("the mode '{}' is none of {}", given, known));
  }

  i64 number(std::string_view key, const toml::node& value, i64 least, i64 most) {
    const auto given = value.value_exact<i64>();
    if (!given || *given < least || *given > most) {
      wrong(value, fmt::format("'{}' has to be a number from {} to {}", key, least, most));
      return 0;
    }
    return *given;
  }

  std::string path_;
  std::string failure_;
  std::vector<Rule> rules_;
};

fs::path user_configuration() {
  const char* configured = std::getenv("XDG_CONFIG_HOME");
  if (configured != nullptr && configured[0] == '/') {
    return configured;
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? fs::path(home) / ".config" : fs::path();
}

}  // namespace

Result<std::vector<Rule>> read_policy_file(const fs::path& path) {
  try {
    return RuleReader(path.string()).read(toml::parse_file(path.string()));
  } catch (const toml::parse_error& error) {
    return fail(fmt::format("{}:{}: {}", path.string(), error.source().begin.line,
                            std::string(error.description())));
  }
}

std::vector<fs::path> policy_files() {
  std::vector<fs::path> files;
  std::error_code ignored;
  const auto add = [&](const fs::path& path) {
    if (fs::is_regular_file(path, ignored)) {
      files.push_back(path);
    }
  };
  add("/etc/selfheal/policy.toml");
  std::vector<fs::path> programs;
  for (const auto& entry : fs::directory_iterator("/etc/selfheal/policy.d", ignored)) {
    if (entry.path().extension() == ".toml") {
      programs.push_back(entry.path());
    }
  }
  std::sort(programs.begin(), programs.end());
  for (const fs::path& path : programs) {
    add(path);
  }
  if (const fs::path user = user_configuration(); !user.empty()) {
    add(user / "selfheal/policy.toml");
  }
  return files;
}

}  // namespace selfheal::cli
