// selfheal run: starts a program with libselfheal.so preloaded.
#include <fmt/core.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/event.h"
#include "cli/help.h"
#include "cli/http_get.h"
#include "cli/launch.h"
#include "cli/library.h"
#include "cli/program_checks.h"
#include "cli/sampling.h"
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
    "  selfheal run --restart --health-http http://localhost:8080/health -- myserver\n"
    "  selfheal run --restart --health-cmd 'redis-cli ping | grep -q PONG' -- redis-server\n"
    "  selfheal run --restart --memory-limit 2G -- myserver\n"
    "\n"
    "Without --restart, health check or memory limit the program takes this process's place. Exit\n"
    "status: the program's own; 128+n when signal n ended it (unless it took our place); 124 when\n"
    "it was ended for its health or its memory; 125 when selfheal itself fails, 126 when the\n"
    "program cannot be executed, 127 when it is not found.\n"
    "\n"
    "A health check is a command (healthy: status 0) or an HTTP GET (healthy: 200 to 399), with "
    "the\n"
    "defaults of Docker's HEALTHCHECK. When it fails too often in a row, or the program with all "
    "its\n"
    "descendants uses more memory than its limit, the program is asked what its threads do, that "
    "is\n"
    "recorded (`selfheal list`), and it is ended: SIGTERM, then SIGKILL.\n"
    "\n"
    "With --restart: signals are passed on, orphans are reaped (also as PID 1), and what is left "
    "of\n"
    "a crashed program's process group is ended before it starts again. It is started again after\n"
    "a crash or a status other than 0, but not after SIGINT, SIGTERM, SIGHUP or SIGPIPE.\n";

struct Request {
  Settings settings;
  Supervision supervision{.restart = {.wanted = false}, .health = {}};
  double first_delay = 0.1;
  double longest_delay = 30;
  double healthy_after = 10;
  double health_interval = 30;
  double health_timeout = 30;
  double health_start_period = 0;
  double stop_timeout = 5;

  bool stays() const {
    return supervision.restart.wanted || supervision.health.wanted() ||
           supervision.memory_limit != 0;
  }
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

// CLI11 reads "-1" as 2^64 - 1.
std::string sign_problem(std::string& size) {
  return size.starts_with('-') ? "a size cannot be negative" : "";
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

// The program tells of itself what it can, and we what we saw.
void record_trouble(const std::string& store, bool switched_off, const Trouble& trouble,
                    const std::vector<pid_t>& processes, const Pause& pause) {
  const std::string waits = waiting_text(processes);
  if (!switched_off) {
    const Sampling sampling{find_library().value_or(""), [&] { return faults_recorded(store); }};
    sample_program(sampling, trouble, processes, pause);
  }
  record_event(store,
               {processes.empty() ? 0 : processes.front(), trouble.kind, 0, trouble.used,
                trouble.kind == FaultKind::time_out && !waits.empty() ? waits : trouble.what});
}

SupervisorHooks hooks_for(const std::string& store, bool switched_off) {
  SupervisorHooks hooks;
  hooks.before_restart = [store] { promote_before_run(store); };
  hooks.trouble = [store, switched_off](const Trouble& trouble, const std::vector<pid_t>& processes,
                                        const Pause& pause) {
    record_trouble(store, switched_off, trouble, processes, pause);
  };
  hooks.record = [store](const Event& event) { record_event(store, event); };
  return hooks;
}

Outcome run(const Session& session, const Request& request) {
  if (!session.has_separator || session.program.empty()) {
    return fail("say what to run after `--`: selfheal run -- PROGRAM ARGUMENTS", exit_own_failure);
  }
  const HealthPolicy& health = request.supervision.health;
  if (const std::string problem = health.url.empty() ? "" : url_problem(health.url);
      !problem.empty()) {
    return fail(fmt::format("--health-http '{}': {}; write http://localhost:PORT/PATH", health.url,
                            problem),
                exit_own_failure);
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
  if (!request.stays()) {
    std::fflush(stdout);
    return tl::unexpected(launch_failure(launch->path, execute(*launch)));
  }
  const Result<options::Options> merged = merged_options(request.settings, exit_own_failure);
  const options::Mode mode = merged ? merged->mode : options::Mode::off;
  return supervise(*launch, request.supervision,
                   hooks_for(place->path, mode == options::Mode::off));
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("run", "Start a program with the library preloaded");
  const auto request = std::make_shared<Request>();
  command->formatter(
      std::make_shared<HelpFormatter>("Usage: selfheal run [OPTIONS] -- PROGRAM [ARGUMENTS]"));
  command->footer(examples);
  RestartPolicy& restart = request->supervision.restart;
  HealthPolicy& health = request->supervision.health;
  command->add_flag("--restart", restart.wanted, "Stay, and start it again when it crashes");
  const auto tuning = [&](const char* name, auto& value, const char* type, const char* help) {
    return command->add_option(name, value, help)
        ->type_name(type)
        ->capture_default_str()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  tuning("--max-restarts", restart.max_restarts, "N",
         "Give up after N restarts in a row; 0: never");
  tuning("--restart-delay", request->first_delay, "SECONDS",
         "Wait before the first restart; doubles with each one in a row");
  tuning("--max-restart-delay", request->longest_delay, "SECONDS", "Longest such wait");
  tuning("--healthy-after", request->healthy_after, "SECONDS",
         "A run this long clears the wait and the count");
  CLI::Option* by_command = command->add_option("--health-cmd", health.command,
                                                "Check the program's health by this command");
  by_command->type_name("COMMAND");
  command->add_option("--health-http", health.url, "Check its health by getting this http(s) URL")
      ->type_name("URL")
      ->excludes(by_command);
  tuning("--health-interval", request->health_interval, "SECONDS",
         "From the start, or the end of a check, to the next one")
      ->check(CLI::PositiveNumber);
  tuning("--health-timeout", request->health_timeout, "SECONDS", "A check this long has failed")
      ->check(CLI::PositiveNumber);
  tuning("--health-retries", health.retries, "N", "End the program after N failures in a row")
      ->check(CLI::PositiveNumber);
  tuning("--health-start-period", request->health_start_period, "SECONDS",
         "Failures before the first success do not count for this long")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--memory-limit", request->supervision.memory_limit,
                   "End it when it uses more memory, with all its descendants (512M, 2G)")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false))
      ->transform(CLI::Validator(&sign_problem, ""));  // asked first
  tuning("--stop-timeout", request->stop_timeout, "SECONDS",
         "From SIGTERM to SIGKILL when it is ended for its health or its memory")
      ->check(CLI::NonNegativeNumber);
  add_store_option(*command, session);
  add_settings(*command, request->settings);
  command->callback([&session, request] {
    Supervision& supervision = request->supervision;
    supervision.restart.first_delay = seconds(request->first_delay);
    supervision.restart.longest_delay = seconds(request->longest_delay);
    supervision.restart.healthy_after = seconds(request->healthy_after);
    supervision.health.interval = seconds(request->health_interval);
    supervision.health.timeout = seconds(request->health_timeout);
    supervision.health.start_period = seconds(request->health_start_period);
    supervision.stop_timeout = seconds(request->stop_timeout);
    session.action = [&session, request] { return run(session, *request); };
  });
}

}  // namespace selfheal::cli
