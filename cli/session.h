// One run of the command: what all subcommands share, and how they register themselves.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/result.h"
#include "cli/terminal.h"

namespace selfheal::cli {

struct Session {
  Terminal terminal;
  bool json = false;                 // --json
  std::string store;                 // --store; "" when not given
  std::vector<std::string> program;  // what stands after `--`
  bool has_separator = false;        // there was a `--`

  // What the chosen subcommand does; set while arguments are parsed.
  std::function<Outcome()> action;
};

// Each adds its subcommand to `app`.
void add_run(CLI::App& app, Session& session);
void add_list(CLI::App& app, Session& session);
void add_info(CLI::App& app, Session& session);
void add_forget(CLI::App& app, Session& session);
void add_enable(CLI::App& app, Session& session);
void add_disable(CLI::App& app, Session& session);
void add_set(CLI::App& app, Session& session);
void add_policy(CLI::App& app, Session& session);
void add_config(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_campaign(CLI::App& app, Session& session);
void add_learn(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);

// The options all subcommands have.
void add_store_option(CLI::App& command, Session& session);
void add_json_option(CLI::App& command, Session& session);

// One line on stderr that does not end the command.
void warn(const std::string& message);

}  // namespace selfheal::cli
