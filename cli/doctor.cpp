// selfheal doctor PROG: why preloading will or will not work, and what to do.
#include <fmt/core.h>
#include <memory>

#include "cli/format.h"
#include "cli/launch.h"
#include "cli/program_checks.h"
#include "cli/session.h"
#include "cli/system_checks.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal doctor nginx             a program of PATH\n"
    "  selfheal doctor /usr/sbin/sshd    or by its path\n"
    "  setpriv --reuid www-data --clear-groups selfheal doctor apache2   as another user\n"
    "\n"
    "Nothing is run. Exit status: 0 it will work, 1 it will not.\n";

Colour colour_of(Health health) {
  switch (health) {
    case Health::fine:
      return Colour::green;
    case Health::note:
      return Colour::dim;
    case Health::warning:
      return Colour::yellow;
    case Health::failure:
      break;
  }
  return Colour::red;
}

void print_document(const std::string& program, bool works, const Checks& checks) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name},
                    {"status", name_of(check.health)},
                    {"message", check.message},
                    {"advice", json_name(check.advice)}});
  }
  print_json({{"program", program}, {"works", works}, {"checks", std::move(list)}});
}

void print_text(const Session& session, const std::string& program, bool works,
                const Checks& checks) {
  for (const Check& check : checks) {
    const std::string status = fmt::format("{:<8}", name_of(check.health));
    fmt::print("{} {:<13} {}\n", session.terminal.paint(colour_of(check.health), status),
               check.name, check.message);
    if (!check.advice.empty() && check.health != Health::fine) {
      fmt::print("{:<23}-> {}\n", "", check.advice);
    }
  }
  fmt::print("{}\n", session.terminal.paint(works ? Colour::green : Colour::red,
                                            works ? fmt::format("{} can be healed.", program)
                                                  : fmt::format("{} cannot be healed.", program)));
}

Outcome doctor(const Session& session, const std::string& program) {
  const Result<std::string> found = find_program(program);
  // What cannot be executed still gets its full diagnosis; a bare name that is nowhere, its own.
  const bool is_path = program.find('/') != std::string::npos;
  Checks checks =
      found || is_path
          ? check_program(found.value_or(program))
          : Checks{{"file", Health::failure, found.error().message, "check the spelling"}};
  const Checks system = check_system(session);
  checks.insert(checks.end(), system.begin(), system.end());
  const bool works = first_failure(checks).empty();
  if (session.json) {
    print_document(program, works, checks);
  } else {
    print_text(session, program, works, checks);
  }
  return works ? 0 : exit_failure;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("doctor", "Tell whether a program can be healed");
  const auto program = std::make_shared<std::string>();
  command->footer(examples);
  command->add_option("PROGRAM", *program, "A program of PATH, or a path")->required();
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, program] {
    session.action = [&session, program] { return doctor(session, *program); };
  });
}

}  // namespace selfheal::cli
