// selfheal campaign: how many faults a server survives, measured on copies of it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/campaign/cell.h"
#include "cli/campaign/report.h"
#include "cli/campaign/study.h"
#include "cli/help.h"
#include "cli/launch.h"
#include "cli/library.h"
#include "cli/session.h"

namespace selfheal::cli {
namespace {

using namespace campaign;
namespace fs = std::filesystem;

constexpr const char* footer =
    "Examples:\n"
    "  selfheal campaign --prepare './make_conf {dir}' --workload ./ask.sh --check ./healthy.sh "
    "\\\n"
    "      --sample 200 --seed 7 -- nginx -c {dir}/nginx.conf\n"
    "  selfheal campaign ... --resume              go on with one that was ended\n"
    "  selfheal campaign ... --only nginx+0x2a3f0:null   one fault again, its files kept\n"
    "\n"
    "Each fault is a few bytes changed in a copy of one file of the server's, mounted over the\n"
    "original for one copy of the server, which runs in namespaces of its own: fixed ports are no\n"
    "problem, and nothing else on the machine is touched. In commands and arguments {dir} is the\n"
    "copy's own empty folder (also $SELFHEAL_CAMPAIGN_DIR, and the current one).\n"
    "The workload asks the server and prints a line for each request: its name, a tab, and\n"
    "`ok ANSWER`, `refused ANSWER` when it was refused what is to be refused, or `error WHAT` "
    "when\n"
    "the service was denied (refused, dropped, no answer in the time it sets itself). Run again, "
    "it\n"
    "must print the same.\n"
    "Needs root. What is counted and how it is judged: docs/cli.md.\n";

struct Request {
  Server server;
  std::string functions = "executed";
  std::vector<std::string> kinds;
  std::vector<std::string> modules;
  std::string options = "hang-seconds=1:hang-scope=all:hang-instructions=10000000";
  std::string output = "campaign.json";
  std::string only;
  std::vector<std::string> without;
  size_t sample = 100;
  u64 seed = 1;
  unsigned jobs = 1;
  unsigned runs = 2;
  double timeout = 20;
  double linger = 0;
  double fail_under = 0;
  bool resume = false;
  bool list = false;
  bool keep = false;
};

std::string quoted(const std::string& word) {
  if (!word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-./=+:,{}@%") == std::string::npos) {
    return word;
  }
  std::string result = "'";
  for (const char c : word) {
    result += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return result + "'";
}

Result<Setting> setting_of(const Session& session, const Request& request) {
  if (!session.has_separator || session.program.empty()) {
    return fail(
        "say which server after `--`, in the foreground: selfheal campaign ... -- SERVER ARGUMENTS",
        exit_usage);
  }
  Setting setting;
  const Result<std::string> library = find_library();
  if (!library) {
    return tl::unexpected(library.error());
  }
  const Result<std::string> program = find_program(session.program.front());
  if (!program) {
    return fail(program.error().message);
  }
  setting.library = *library;
  setting.options = request.options;
  setting.runs = request.runs;
  setting.server = request.server;
  setting.server.command = session.program;
  setting.server.command.front() = fs::absolute(*program).string();
  setting.server.timeout = milliseconds(static_cast<long>(request.timeout * 1000));
  setting.server.linger = milliseconds(static_cast<long>(request.linger * 1000));
  for (const std::string& variable : current_environment()) {
    if (!variable.starts_with("LD_PRELOAD=") && !variable.starts_with("SELFHEAL_")) {
      setting.server.environment.push_back(variable);
    }
  }
  return setting;
}

Json key_of(const Setting& setting, const Request& request) {
  return {{"server", setting.server.command},    {"prepare", setting.server.prepare},
          {"workload", setting.server.workload}, {"ready", setting.server.ready},
          {"modules", request.modules},          {"functions", request.functions}};
}

Result<Drawing> drawing_of(const Request& request) {
  Drawing drawing;
  drawing.seed = request.seed;
  drawing.all_functions = request.functions == "all";
  for (const std::string& name : request.kinds) {
    const std::optional<Kind> kind = kind_named(name);
    if (!kind) {
      return fail(
          fmt::format("'{}' is no fault; there are null, div, ud2, abort, loop, invert", name),
          exit_usage);
    }
    drawing.kinds.push_back(*kind);
  }
  if (drawing.kinds.empty()) {
    drawing.kinds.assign(all_kinds.begin(), all_kinds.end());
  }
  return drawing;
}

// The files beside --output: the study, the results, and folders of misses.
Result<std::string> work_folder(const Request& request) {
  std::error_code error;
  const std::string folder = fs::absolute(request.output, error).string() + ".d";
  umask(022);
  fs::create_directories(folder + "/faults", error);
  if (error) {
    return fail(
        fmt::format("cannot make '{}': {}; name another --output", folder, error.message()));
  }
  return folder;
}

// How one fault of this is asked for.
std::string replay_command(const Session& session, const Request& request) {
  std::string text = "selfheal campaign";
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) {
      text += fmt::format(" {} {}", flag, quoted(value));
    }
  };
  add("--prepare", request.server.prepare);
  add("--ready", request.server.ready);
  add("--workload", request.server.workload);
  add("--check", request.server.check);
  for (const std::string& module : request.modules) {
    add("--module", module);
  }
  add("--options", request.options);
  add("--timeout", fmt::format("{}", request.timeout));
  if (request.linger != 0) {
    add("--linger", fmt::format("{}", request.linger));
  }
  add("--runs", fmt::format("{}", request.runs));
  add("--output", request.output);
  std::string program;
  for (const std::string& word : session.program) {
    program += " " + quoted(word);
  }
  return fmt::format("{} --only ID --{}", text, program);
}

void print_coverage(const Study& study) {
  for (const Target& target : study.targets) {
    std::map<u64, Seen> functions;
    for (const Binary::Part& part : target.binary->parts()) {
      functions.try_emplace(part.function, Seen::never);
    }
    for (const Place& place : target.places) {
      const auto seen = target.seen.find(place.address);
      if (seen != target.seen.end()) {
        Seen& best = functions[place.function];
        best = best == Seen::start_up ? best : seen->second;
      }
    }
    const auto count = [&](Seen wanted) {
      return std::count_if(functions.begin(), functions.end(),
                           [&](const auto& item) { return item.second == wanted; });
    };
    fmt::print("{}: {} functions, {} executed from the start on, {} only when serving\n",
               target.binary->name(), functions.size(), count(Seen::start_up),
               count(Seen::serving));
  }
}

void print_list(const std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates) {
    fmt::print("{}\t{}\t{}\t{}\n", candidate.id(), name_of(candidate.place.position),
               candidate.seen == Seen::start_up  ? "start-up"
               : candidate.seen == Seen::serving ? "serving"
                                                 : "not executed",
               candidate.target->binary->function_name(candidate.place.function));
  }
}

class Progress {
 public:
  explicit Progress(size_t sample) : bar_(isatty(STDOUT_FILENO) == 1), sample_(sample) {}

  void report(const Finding& finding, size_t counted) {
    if (campaign::counts(finding.verdict)) {
      survived_ += campaign::survived(finding.verdict) ? 1 : 0;
      ++fresh_;
    }
    const bool miss = campaign::counts(finding.verdict) && !campaign::survived(finding.verdict);
    if (!bar_ || miss) {
      fmt::print("{}{:>4} {:<36} {:<10} {}\n", bar_ ? "\r\033[K" : "", counted, finding.id,
                 name_of(finding.verdict), printable(finding.what));
    }
    if (bar_) {
      constexpr size_t width = 30;
      const size_t full = sample_ == 0 ? width : std::min(width, counted * width / sample_);
      fmt::print("\r\033[K[{}{}] {}/{}, {} of {} survived", std::string(full, '#'),
                 std::string(width - full, ' '), counted, sample_, survived_, fresh_);
    }
    std::fflush(stdout);
  }

  void end() const {
    if (bar_) {
      fmt::print("\r\033[K");
    }
  }

 private:
  bool bar_;
  size_t sample_;
  size_t survived_ = 0;
  size_t fresh_ = 0;
};

Outcome write_report(const std::string& path, const Json& report) {
  std::ofstream out(path, std::ios::trunc);
  out << report.dump(1) << '\n';
  out.close();
  return out ? Outcome(0) : fail(fmt::format("cannot write '{}'; name another --output", path));
}

Outcome run_campaign(const Session& session, const Request& request) {
  const Result<Drawing> drawing = drawing_of(request);
  if (!drawing) {
    return tl::unexpected(drawing.error());
  }
  Result<Setting> setting = setting_of(session, request);
  if (!setting) {
    return tl::unexpected(setting.error());
  }
  if (const Outcome able = check_cells(); !able) {
    return able;
  }
  const Result<std::string> folder = work_folder(request);
  if (!folder) {
    return tl::unexpected(folder.error());
  }
  const Json key = key_of(*setting, request);
  const Result<Study> study =
      study_server(*setting, {request.modules, key.dump(), drawing->all_functions}, *folder);
  if (!study) {
    return tl::unexpected(study.error());
  }
  print_coverage(*study);

  std::vector<Candidate> candidates;
  if (!request.only.empty()) {
    Result<Candidate> one = find_candidate(study->targets, request.only);
    if (!one) {
      return tl::unexpected(one.error());
    }
    one->seen = Seen::serving;  // asked for, so it is run whatever coverage says
    candidates.push_back(*one);
  } else {
    candidates = draw(study->targets, *drawing);
    std::erase_if(candidates, [&](const Candidate& candidate) {
      return std::find(request.without.begin(), request.without.end(), candidate.id()) !=
             request.without.end();
    });
  }
  if (request.list) {
    print_list(candidates);
    return 0;
  }
  Progress progress(request.only.empty() ? request.sample : 1);
  Schedule schedule;
  schedule.sample = request.only.empty() ? request.sample : 1;
  schedule.jobs = request.jobs;
  schedule.keep = request.keep || !request.only.empty();
  schedule.folder = *folder;
  schedule.report = [&](const Finding& finding, size_t counted) {
    progress.report(finding, counted);
  };
  if (request.only.empty()) {
    const std::string results = *folder + "/results.jsonl";
    std::error_code ignored;
    if (!request.resume) {
      fs::remove(results, ignored);
    }
    Json head = key;
    head["seed"] = request.seed;
    head["faults"] = request.kinds;
    head["options"] = request.options;
    head["runs"] = request.runs;
    head["linger"] = request.linger;
    if (!request.without.empty()) {
      head["without"] = request.without;
    }
    head["check"] = setting->server.check;
    for (const Target& target : study->targets) {
      head["build_ids"][target.binary->name()] = target.binary->build_id();
    }
    Result<std::map<std::string, Json>> done = earlier_results(results, head.dump());
    if (!done) {
      return tl::unexpected(done.error());
    }
    schedule.done = std::move(*done);
  }
  const Result<std::vector<Finding>> findings = try_all(*setting, candidates, schedule);
  progress.end();
  if (!findings) {
    return tl::unexpected(findings.error());
  }
  fmt::print("\n{}", report_text(*findings, replay_command(session, request), session.terminal));
  Json report = {{"schema", 1},
                 {"seed", request.seed},
                 {"server", setting->server.command},
                 {"workload", setting->server.workload},
                 {"options", request.options},
                 {"linger", request.linger},
                 {"runs", request.runs}};
  report.update(report_json(*findings));
  if (request.only.empty()) {
    if (const Outcome written = write_report(request.output, report); !written) {
      return written;
    }
  }
  const Totals totals = totals_of(*findings);
  if (totals.counted < schedule.sample && request.only.empty()) {
    warn(fmt::format("only {} faults could be had; the workload executes too little for {}",
                     totals.counted, schedule.sample));
  }
  return totals.rate() * 100 < request.fail_under ? exit_failure : 0;
}

}  // namespace

void add_campaign(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("campaign", "Measure how many faults a server survives");
  const auto request = std::make_shared<Request>();
  command->formatter(std::make_shared<HelpFormatter>(
      "Usage: selfheal campaign --workload CMD --check CMD [OPTIONS] -- SERVER [ARGUMENTS]"));
  command->footer(footer);
  const auto option = [&](const char* name, auto& value, const char* type, const char* help) {
    return command->add_option(name, value, help)
        ->type_name(type)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  option("--workload", request->server.workload, "CMD", "Asks the server, a line for each request")
      ->required();
  option("--check", request->server.check, "CMD", "Status 0: the server serves as it should")
      ->required();
  option("--prepare", request->server.prepare, "CMD", "Fills {dir} before each start");
  option("--ready", request->server.ready, "CMD",
         "Status 0: it is ready (default: it listens, and no process or thread comes, goes or "
         "computes)");
  command
      ->add_option("--module", request->modules,
                   "Files to put faults into, by name (*); default: all but libc and its kin")
      ->type_name("GLOB");
  option("--functions", request->functions, "WHICH", "executed (by the workload), or all")
      ->check(CLI::IsMember({"executed", "all"}))
      ->capture_default_str();
  command
      ->add_option("--faults", request->kinds,
                   "Of null, div, ud2, abort, loop, invert; default: all")
      ->type_name("LIST")
      ->delimiter(',');
  option("--sample", request->sample, "N", "How many faults that count")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  option("--seed", request->seed, "S", "Draws the same faults for the same files")
      ->capture_default_str();
  option("--jobs", request->jobs, "N", "Copies of the server at once")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  option("--runs", request->runs, "N", "Runs allowed, the first included, until it is survived")
      ->check(CLI::Range(2u, 20u))
      ->capture_default_str();
  option("--timeout", request->timeout, "SECONDS", "For getting ready, and for each workload")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  option("--linger", request->linger, "SECONDS",
         "The server's longest time-out: what it gives back by then is no leak")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  option("--options", request->options, "LIST", "SELFHEAL_OPTIONS of the server")
      ->capture_default_str();
  option("--output", request->output, "FILE", "The results; FILE.d has what is needed to go on")
      ->capture_default_str();
  option("--only", request->only, "ID", "This fault alone, its files kept");
  command
      ->add_option("--without", request->without, "Faults that are left out, others come for them")
      ->type_name("IDS")
      ->delimiter(',');
  option("--fail-under", request->fail_under, "PERCENT", "Status 1 when fewer survive");
  command->add_flag("--resume", request->resume, "Go on with what FILE.d has");
  command->add_flag("--list", request->list, "Print what would be tried, in order, and end");
  command->add_flag("--keep", request->keep, "Keep the files of all faults, not only of misses");
  command->callback([&session, request] {
    session.action = [&session, request] { return run_campaign(session, *request); };
  });
}

}  // namespace selfheal::cli
