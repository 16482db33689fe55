#include "cli/help.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace selfheal::cli {
namespace {

// Levenshtein's distance, by the usual single row.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = i;
  }
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return usage_.empty() ? CLI::Formatter::make_usage(app, std::move(name)) : usage_ + "\n";
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  std::string line = "  " + make_option_name(option, is_positional) + make_option_opts(option);
  std::string result;
  if (line.size() + 2 > column) {
    result = line + "\n";
    line.clear();
  }
  line.resize(column, ' ');
  std::istringstream words(make_option_desc(option));
  bool fresh = true;
  for (std::string word; words >> word; fresh = false) {
    if (!fresh && line.size() + 1 + word.size() > width) {
      result += line + "\n";
      line.assign(column, ' ');
      fresh = true;
    }
    line += (fresh ? "" : " ") + word;
  }
  return result + line + "\n";
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0 || option->get_positional()) {
    return "";
  }
  const std::string standard = option->get_default_str();
  return " " + option->get_type_name() + (standard.empty() ? "" : "=" + standard);
}

std::string nearest_command(const CLI::App& app, const std::string& name) {
  std::string best;
  size_t least = name.size() / 2 + 1;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (const size_t d = distance(name, command->get_name()); d < least) {
      least = d;
      best = command->get_name();
    }
  }
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

}  // namespace selfheal::cli
