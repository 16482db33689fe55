// selfheal run: starts a program with libselfheal.so preloaded.
#include <fmt/core.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/launch.h"
#include "cli/library.h"
#include "cli/program_checks.h"
#include "cli/session.h"
#include "cli/settings.h"
#include "cli/store_access.h"
#include "cli/supervisor.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal run -- apache2 -DFOREGROUND           heal what is known, record what is new\n"
    "  selfheal run --mode observe -- nginx           record only\n"
    "  selfheal run --restart -- redis-server         ... and start it again when it crashes\n"
    "  selfheal run --region 'mod_php.so!php_handler' -- apache2 -DFOREGROUND\n"
    "\n"
    "Without --restart the program takes this process's place. Exit status: the program's own;\n"
    "128+n when signal n ended it (with --restart); 125 when selfheal itself fails, 126 when the\n"
    "program cannot be executed, 127 when it is not found.\n"
    "\n"
    "With --restart: signals are passed on, orphans are reaped (also as PID 1), and what is left "
    "of\n"
    "a crashed program's process group is ended before it starts again. It is started again after\n"
    "a crash or a status other than 0, but not after SIGINT, SIGTERM, SIGHUP or SIGPIPE.\n";

struct Request {
  Settings settings;
  bool restart = false;
  RestartPolicy policy;
  double first_delay = 0.1;
  double longest_delay = 30;
  double healthy_after = 10;
};

std::chrono::milliseconds seconds(double value) {
  return std::chrono::milliseconds(static_cast<long>(value * 1000));
}

// So that the library may report there: a program's own stderr may be a socket to a client.
std::string stderr_identity() {
  struct stat status {};
  return fstat(STDERR_FILENO, &status) == 0 ? fmt::format("{}:{}", status.st_dev, status.st_ino)
                                            : "";
}

Result<Launch> prepare(const Session& session, const Request& request) {
  const Result<options::Options> options = merged_options(request.settings, exit_own_failure);
  if (!options) {
    return tl::unexpected(options.error());
  }
  const Result<std::string> library = find_library();
  if (!library) {
    return fail(library.error().message, exit_own_failure);
  }
  Result<std::string> program = find_program(session.program.front());
  if (!program) {
    return tl::unexpected(program.error());
  }
  Launch launch{*program, session.program, current_environment()};
  std::vector<std::string>& environment = launch.environment;
  const std::string* preload = find_variable(environment, "LD_PRELOAD");
  const std::string existing = preload != nullptr ? preload->substr(sizeof "LD_PRELOAD") : "";
  set_variable(environment, "LD_PRELOAD", prepend_preload(*library, existing));
  if (const std::string text = settings_text(*options); !text.empty()) {
    set_variable(environment, "SELFHEAL_OPTIONS", text);
  } else {
    unset_variable(environment, "SELFHEAL_OPTIONS");
  }
  if (const std::string identity = stderr_identity(); !identity.empty()) {
    set_variable(environment, "SELFHEAL_STDERR", identity);
  }
  return launch;
}

Outcome run(const Session& session, const Request& request) {
  if (!session.has_separator || session.program.empty()) {
    return fail("say what to run after `--`: selfheal run -- PROGRAM ARGUMENTS", exit_own_failure);
  }
  Result<Launch> launch = prepare(session, request);
  if (!launch) {
    return tl::unexpected(launch.error());
  }
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return fail(place.error().message, exit_own_failure);
  }
  if (!session.store.empty()) {
    set_variable(launch->environment, "SELFHEAL_STORE", place->path);
  }
  if (const std::string obstacle = preload_obstacle(launch->path); !obstacle.empty()) {
    warn(fmt::format("{} runs without healing: {} (`selfheal doctor` says what to do)",
                     launch->path, obstacle));
  }
  promote_before_run(place->path);
  if (!request.restart) {
    std::fflush(stdout);
    return tl::unexpected(launch_failure(launch->path, execute(*launch)));
  }
  return supervise(*launch, request.policy, [&] { promote_before_run(place->path); });
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("run", "Start a program with the library preloaded");
  const auto request = std::make_shared<Request>();
  command->formatter(
      std::make_shared<HelpFormatter>("Usage: selfheal run [OPTIONS] -- PROGRAM [ARGUMENTS]"));
  command->footer(examples);
  command->add_flag("--restart", request->restart, "Stay, and start it again when it crashes");
  const auto tuning = [&](const char* name, auto& value, const char* type, const char* help) {
    command->add_option(name, value, help)
        ->type_name(type)
        ->capture_default_str()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  tuning("--max-restarts", request->policy.max_restarts, "N",
         "Give up after N restarts in a row; 0: never");
  tuning("--restart-delay", request->first_delay, "SECONDS",
         "Wait before the first restart; doubles with each one in a row");
  tuning("--max-restart-delay", request->longest_delay, "SECONDS", "Longest such wait");
  tuning("--healthy-after", request->healthy_after, "SECONDS",
         "A run this long clears the wait and the count");
  add_store_option(*command, session);
  add_settings(*command, request->settings);
  command->callback([&session, request] {
    request->policy.first_delay = seconds(request->first_delay);
    request->policy.longest_delay = seconds(request->longest_delay);
    request->policy.healthy_after = seconds(request->healthy_after);
    session.action = [&session, request] { return run(session, *request); };
  });
}

}  // namespace selfheal::cli
