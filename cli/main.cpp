// selfheal: the command. Parses, runs one subcommand, and turns its outcome into an exit status.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <unistd.h>

#include "cli/help.h"
#include "cli/result.h"
#include "cli/session.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal run -- nginx -g 'daemon off;'   start a server that heals its known crashes\n"
    "  selfheal list                            the functions that crashed so far\n"
    "  selfheal info 4f2a                       all that is known of one of them\n"
    "  selfheal doctor /usr/sbin/apache2        whether a program can be healed\n"
    "\n"
    "Exit status: 0 done; 1 it failed; 2 wrong usage. `run` ends as the program does.\n"
    "`selfheal COMMAND --help` tells more of each.\n";

// What stands after the first `--` is the program's command line, not ours to parse. (CLI11's own
// way, prefix_command, takes the first word it does not know for the start, and rejects `--`.)
std::vector<std::string> split_program(int argc, char** argv, Session& session) {
  std::vector<std::string> ours;
  const bool takes_program =
      argc > 1 && (std::strcmp(argv[1], "run") == 0 || std::strcmp(argv[1], "verify") == 0 ||
                   std::strcmp(argv[1], "learn") == 0 || std::strcmp(argv[1], "campaign") == 0);
  for (int i = 1; i < argc; ++i) {
    if (takes_program && std::strcmp(argv[i], "--") == 0) {
      session.has_separator = true;
      session.program.assign(argv + i + 1, argv + argc);
      break;
    }
    ours.emplace_back(argv[i]);
  }
  return ours;
}

bool is_command(const CLI::App& app, const std::string& name) {
  const auto named = [&](const CLI::App* command) { return command->get_name() == name; };
  return !app.get_subcommands(named).empty();
}

int report_failure(const Failure& failure) {
  std::fflush(stdout);
  std::fprintf(stderr, "selfheal: %s\n", failure.message.c_str());
  return failure.status;
}

int main_of(int argc, char** argv) {
  Session session;
  session.terminal = Terminal::detect(STDOUT_FILENO);

  CLI::App app("Heals crashes of programs you did not write, from the second run on.", "selfheal");
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(examples);
  app.require_subcommand(1);
  app.set_version_flag("--version", "selfheal " SELFHEAL_VERSION);
  app.failure_message(CLI::FailureMessage::simple);
  add_run(app, session);
  add_list(app, session);
  add_info(app, session);
  add_forget(app, session);
  add_enable(app, session);
  add_disable(app, session);
  add_set(app, session);
  add_verify(app, session);
  add_learn(app, session);
  add_policy(app, session);
  add_config(app, session);
  add_doctor(app, session);
  add_campaign(app, session);
  add_version(app, session);

  std::vector<std::string> ours = split_program(argc, argv, session);
  // `env` keeps 125 for itself so that a program's 1 and 2 stay its own; so does `run`.
  const bool running = !ours.empty() && ours.front() == "run";
  if (!ours.empty() && !ours.front().starts_with("-") && !is_command(app, ours.front())) {
    return report_failure({"there is no command '" + printable(ours.front()) + "'" +
                               nearest_command(app, ours.front()) + " (see `selfheal --help`)",
                           exit_usage});
  }
  try {
    std::reverse(ours.begin(), ours.end());  // what CLI11 wants
    app.parse(ours);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return std::fflush(stdout) == 0 ? 0 : exit_failure;
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    for (char& c : what) {
      c = c == '\n' ? ' ' : c;
    }
    const auto used = app.get_subcommands();
    const std::string command = used.empty() ? "" : used.front()->get_name() + " ";
    return report_failure(
        {what + " (see `selfheal " + command + "--help`)", running ? 125 : exit_usage});
  }
  const Outcome outcome = session.action();
  if (!outcome) {
    return report_failure(outcome.error());
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return report_failure({std::string("cannot write the output: ") + std::strerror(errno)});
  }
  return *outcome;
}

}  // namespace

}  // namespace selfheal::cli

int main(int argc, char** argv) {
  try {
    return selfheal::cli::main_of(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "selfheal: internal error: %s\n", error.what());
    return selfheal::cli::exit_failure;
  }
}
