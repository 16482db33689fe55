#include "cli/campaign/copy.h"

#include <algorithm>
#include <csignal>
#include <fmt/core.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/wait.h>

namespace selfheal::cli::campaign {
namespace {

constexpr milliseconds quiet_start{300};  // nothing came or went for so long: it is ready
constexpr milliseconds quiet_time{200};   // no processor time for so long: it has settled
constexpr milliseconds settle_limit{3000};
constexpr u64 idle_ticks = 2;  // of all processes in `quiet_time`: housekeeping of idle threads

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool succeeded(const std::optional<int>& status) {
  return status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
}

// A line of /proc/net/{tcp,udp}: "sl local_address rem_address st ..."; 0A is LISTEN, and an
// unconnected UDP socket has 07.
bool has_socket(const char* file, const char* state) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, seen;
    fields >> number >> local >> remote >> seen;
    if (seen == state) {
      return true;
    }
  }
  return false;
}

// /proc/net/unix: "Num RefCount Protocol Flags ..."; flag 00010000 is a listening socket's.
bool has_unix_listener() {
  std::ifstream in("/proc/net/unix");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string number, count, protocol, flags;
    fields >> number >> count >> protocol >> flags;
    if (flags == "00010000") {
      return true;
    }
  }
  return false;
}

std::vector<std::pair<pid_t, u64>> population(const std::vector<Sight>& processes) {
  std::vector<std::pair<pid_t, u64>> result;
  for (const Sight& sight : processes) {
    result.emplace_back(sight.pid, sight.threads);
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

Answer answer_of(std::string text) {
  const std::string word = text.substr(0, text.find_first_of(" \t"));
  const Answer::Kind kind = word == "ok"        ? Answer::Kind::ok
                            : word == "refused" ? Answer::Kind::refused
                                                : Answer::Kind::error;
  return {kind, std::move(text)};
}

Answers parse_answers(const std::string& text) {
  Answers answers;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find('\t');
    const std::string name = line.substr(0, first);
    std::string key = name;
    for (unsigned i = 2; answers.contains(key); ++i) {
      key = fmt::format("{}#{}", name, i);
    }
    answers[key] = answer_of(first == std::string::npos ? "" : line.substr(first + 1));
  }
  return answers;
}

Copy::Copy(Household& household, const Server& server, std::string folder)
    : household_(household), server_(server), folder_(std::move(folder)) {}

std::string Copy::filled_in(std::string text) const {
  constexpr std::string_view mark = "{dir}";
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += folder_.size()) {
    text.replace(at, mark.size(), folder_);
  }
  return text;
}

Start Copy::start_of(const std::vector<std::string>& arguments, const std::string& name) const {
  Start start;
  for (const std::string& argument : arguments) {
    start.arguments.push_back(filled_in(argument));
  }
  start.environment = server_.environment;
  start.environment.push_back("SELFHEAL_CAMPAIGN_DIR=" + folder_);
  start.folder = folder_;
  const std::string file = fmt::format("{}/../{}{}", folder_, run_.empty() ? "" : run_ + ".", name);
  start.output = file + ".out";
  start.errors = file + ".err";
  return start;
}

std::optional<int> Copy::run_command(const std::string& command, const std::string& name,
                                     milliseconds limit) {
  return household_.run(start_of({"/bin/sh", "-c", command}, name), Clock::now() + limit);
}

Outcome Copy::prepare() {
  if (!server_.prepare.empty() &&
      !succeeded(run_command(server_.prepare, "prepare", server_.timeout))) {
    return fail(fmt::format("--prepare failed: {}", text_of(folder_ + "/../prepare.err")));
  }
  return 0;
}

bool Copy::start(const How& how) {
  run_ = how.run;
  workloads_ = 0;
  Start start = start_of(server_.command, "server");
  start.environment.insert(start.environment.end(), how.runtime.begin(), how.runtime.end());
  start.traced = how.traced;
  household_.start(start);
  const bool ready = wait_until_ready(how.hopeless);
  long_lived_ = household_.processes();
  return ready && !long_lived_.empty();
}

bool Copy::listens() const {
  return has_socket("/proc/net/tcp", "0A") || has_socket("/proc/net/tcp6", "0A") ||
         has_socket("/proc/net/udp", "07") || has_socket("/proc/net/udp6", "07") ||
         has_unix_listener();
}

bool Copy::wait_until_ready(const std::function<bool()>& hopeless) {
  std::vector<std::pair<pid_t, u64>> before;
  Clock::time_point quiet_since = Clock::now();
  bool ready = false;
  const auto done = [&] {
    const std::vector<std::pair<pid_t, u64>> now = population(household_.processes());
    if (now.empty() || (hopeless && hopeless())) {
      return true;
    }
    if (now != before || !listens()) {
      before = now;
      quiet_since = Clock::now();
    }
    const bool quiet = Clock::now() - quiet_since >= quiet_start;
    if (quiet && household_.any_runs()) {
      quiet_since = Clock::now();  // it listens, but computes: not all of it may be there yet
      return false;
    }
    ready = quiet && (server_.ready.empty() ||
                      succeeded(run_command(server_.ready, "ready", server_.timeout)));
    return ready;
  };
  household_.pump_until(done, deadline());
  return ready;
}

WorkloadEnd Copy::workload(const std::function<bool()>& enough, Answers& answers) {
  const std::string name = fmt::format("workload{}", ++workloads_);
  const Start start = start_of({"/bin/sh", "-c", server_.workload}, name);
  const pid_t pid = household_.start(start);
  bool stopped = false;
  const bool in_time = household_.pump_until(
      [&] {
        stopped = enough();
        return stopped || household_.status(pid).has_value();
      },
      deadline());
  household_.end_session(pid);
  answers = parse_answers(text_of(start.output));
  return !in_time ? WorkloadEnd::late : stopped ? WorkloadEnd::stopped : WorkloadEnd::done;
}

bool Copy::check() {
  return succeeded(run_command(server_.check, "check", server_.timeout));
}

bool Copy::settle() {
  return settle_within(settle_limit);
}

bool Copy::settle_at_last() {
  return settle_within(server_.linger);
}

bool Copy::settle_within(milliseconds limit) {
  u64 before = ~u64{0};
  const auto settled = [&] {
    u64 ticks = 0;
    bool visitors = false;
    for (const Sight& sight : household_.processes()) {
      ticks += sight.ticks;
      visitors = visitors || std::none_of(long_lived_.begin(), long_lived_.end(),
                                          [&](const Sight& s) { return s.pid == sight.pid; });
    }
    const bool idle = before != ~u64{0} && ticks - std::min(before, ticks) <= idle_ticks;
    before = ticks;
    // On a busy machine who computes on may get no time at all.
    return idle && !visitors && !household_.any_runs();
  };
  return look_until(settled, limit);
}

void Copy::linger(const std::function<bool()>& done) {
  look_until(done, server_.linger);
}

bool Copy::look_until(const std::function<bool()>& done, milliseconds limit) {
  Clock::time_point looked;
  return household_.pump_until(
      [&] {
        if (Clock::now() - looked < quiet_time) {
          return false;
        }
        const bool result = done();
        looked = Clock::now();
        return result;
      },
      Clock::now() + limit);
}

std::vector<std::string> Copy::gone() const {
  const std::vector<Sight> now = household_.processes();
  std::vector<std::string> names;
  for (const Sight& sight : long_lived_) {
    if (std::none_of(now.begin(), now.end(), [&](const Sight& s) {
          return s.pid == sight.pid && s.started == sight.started;
        })) {
      names.push_back(sight.name);
    }
  }
  return names;
}

void Copy::end() {
  household_.end_all();
}

}  // namespace selfheal::cli::campaign
