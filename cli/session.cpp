#include "cli/session.h"

#include <cstdio>

namespace selfheal::cli {

void add_store_option(CLI::App& command, Session& session) {
  command
      .add_option("--store", session.store,
                  "Directory of the store (default: $SELFHEAL_STORE, else /var/lib/selfheal for "
                  "root, else $XDG_STATE_HOME/selfheal)")
      ->type_name("DIR")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void add_json_option(CLI::App& command, Session& session) {
  command.add_flag("--json", session.json, "Print JSON (schema: docs/cli.md)");
}

void warn(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "selfheal: %s\n", message.c_str());
}

}  // namespace selfheal::cli
