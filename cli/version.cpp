// selfheal version.
#include <fmt/core.h>

#include "cli/format.h"
#include "cli/library.h"
#include "cli/session.h"
#include "lib/store/format.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal version\n"
    "  selfheal version --json | jq -r .library\n";

Outcome version(const Session& session) {
  const std::string library = find_library().value_or("");
  if (session.json) {
    print_json({{"version", SELFHEAL_VERSION},
                {"store_format", store::format_version},
                {"library", json_name(library)}});
    return 0;
  }
  fmt::print("selfheal {}\nstore format {}\nlibrary {}\n", SELFHEAL_VERSION, store::format_version,
             library.empty() ? "not found; set SELFHEAL_LIBRARY" : library);
  return 0;
}

}  // namespace

void add_version(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("version", "Show the version");
  command->footer(examples);
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session] { session.action = [&session] { return version(session); }; });
}

}  // namespace selfheal::cli
