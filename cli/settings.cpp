#include "cli/settings.h"

#include <fmt/core.h>
#include <unistd.h>

#include "cli/session.h"

namespace selfheal::cli {
namespace {

constexpr bool is_flag(options::OptionId id) {
  switch (id) {
#define CHOICE(name, ...)
#define TEXT(name, ...)
#define NUMBER(name, ...)
#define SECONDS(name, ...)
#define REGIONS(name, ...)
#define FLAG(name, ...) case options::OptionId::name:
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef REGIONS
#undef FLAG
    return true;
    default:
      return false;
  }
}

// A word for --help; `selfheal config --json` has the whole of what is allowed.
const char* type_of(const options::OptionInfo& info) {
  switch (info.id) {
#define CHOICE(name, ...)       \
  case options::OptionId::name: \
    return info.allowed;
#define TEXT(name, ...)         \
  case options::OptionId::name: \
    return "PATH";
#define NUMBER(name, ...)       \
  case options::OptionId::name: \
    return "N";
#define SECONDS(name, ...)      \
  case options::OptionId::name: \
    return "SECONDS";
#define REGIONS(name, ...)      \
  case options::OptionId::name: \
    return "MODULE!FUNCTION";
#define FLAG(name, ...)         \
  case options::OptionId::name: \
    return "";
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef REGIONS
#undef FLAG
    case options::OptionId::count_:
      break;
  }
  return "";
}

size_t index_of(options::OptionId id) {
  return static_cast<size_t>(id);
}

options::Complaints collect_into(std::string& line) {
  return {[](void* context, const char* text) {
            auto& kept = *static_cast<std::string*>(context);
            kept = kept.empty() ? text : kept;
          },
          &line};
}

}  // namespace

void add_settings(CLI::App& command, Settings& settings) {
  for (const options::OptionInfo& info : options::table()) {
    if (info.id == options::OptionId::store) {
      continue;
    }
    const std::string flag = std::string("--") + info.name;
    if (is_flag(info.id)) {
      command.add_flag(flag, settings.flags[index_of(info.id)], info.help)->group("Library");
      continue;
    }
    const std::string standard = *info.standard == '\0' ? "" : fmt::format(" ({})", info.standard);
    command.add_option(flag, settings.values[index_of(info.id)], info.help + standard)
        ->type_name(type_of(info))
        ->allow_extra_args(false)
        ->group("Library");
  }
}

Result<options::Options> merged_options(const Settings& settings, int status) {
  options::Options options;
  options::apply_environment(environ, options, {[](void*, const char* text) { warn(text); }});
  for (const options::OptionInfo& info : options::table()) {
    std::vector<std::string> values = settings.values[index_of(info.id)];
    if (settings.flags[index_of(info.id)]) {
      values.emplace_back("yes");
    }
    for (const std::string& value : values) {
      std::string complaint;
      if (!options::apply_one(info.name, value, options::Source::command_line, options,
                              collect_into(complaint))) {
        return fail(
            complaint.empty() ? fmt::format("--{}: bad value '{}'", info.name, value) : complaint,
            status);
      }
    }
  }
  return options;
}

std::string settings_text(const options::Options& options) {
  std::vector<char> buffer(64 * 1024);
  Text text(buffer.data(), buffer.size());
  options::write_settings(options, text);
  return text.c_str();
}

std::string value_text(const options::Options& options, options::OptionId id) {
  std::vector<char> buffer(16 * 1024);
  Text text(buffer.data(), buffer.size());
  options::write_value(options, id, text);
  return text.c_str();
}

}  // namespace selfheal::cli
