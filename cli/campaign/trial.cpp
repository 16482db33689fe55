#include "cli/campaign/trial.h"

#include <algorithm>
#include <fmt/core.h>
#include <fstream>

#include "cli/campaign/cell.h"
#include "cli/campaign/runs.h"
#include "cli/campaign/store_look.h"
#include "cli/campaign/trace.h"

namespace selfheal::cli::campaign {
namespace {

std::string error_text(const std::string& text) {
  return Json({{"error", text}}).dump();
}

std::string last_lines(const std::string& file) {
  std::ifstream in(file);
  std::string last;
  for (std::string line; std::getline(in, line);) {
    last = line.empty() ? last : line;
  }
  return last.empty() ? "" : ": " + last;
}

std::string not_ready(const std::string& folder, const std::string& run) {
  return fmt::format("the server did not become ready{} (its output: {}/{}.server.err)",
                     last_lines(fmt::format("{}/{}.server.err", folder, run)), folder, run);
}

}  // namespace

std::string survey(const Setting& setting, const std::string& folder) {
  Household household;
  Trace trace;
  household.set_hook([&](pid_t pid, int status) { return trace.handle(pid, status); });
  Copy copy(household, setting.server, folder + "/copy");
  if (const Outcome made = renew(copy, folder); !made) {
    return error_text(made.error().message);
  }
  if (!copy.start({"reference", {}, true, {}})) {
    return error_text(not_ready(folder, "reference"));
  }
  trace.serving();
  Answers first;
  Answers second;
  const auto never = [] { return false; };
  if (copy.workload(never, first) == WorkloadEnd::late ||
      copy.workload(never, second) == WorkloadEnd::late) {
    return error_text("the workload does not end in time; raise --timeout");
  }
  if (first.empty()) {
    return error_text("the workload prints no line NAME<TAB>ok ANSWER" +
                      last_lines(folder + "/reference.workload1.err"));
  }
  RunSeen differences;
  compare(first, second, differences);
  if (!differences.errors.empty() || !differences.wrong.empty()) {
    const auto& found = differences.wrong.empty() ? differences.errors : differences.wrong;
    return error_text(
        "the workload's answers differ from one time to the next, so that they "
        "cannot be judged: " +
        found.front());
  }
  if (!copy.check()) {
    return error_text("the check fails with a server that nothing was done to" +
                      last_lines(folder + "/reference.check.err"));
  }
  Json answers = Json::object();
  for (const auto& [name, answer] : first) {
    answers[name] = answer.text;
    if (answer.kind == Answer::Kind::error) {
      return error_text(fmt::format(
          "the workload has errors with a server that nothing was done to: {}: {} (what "
          "is refused rightly must be printed as `refused`)",
          name, answer.text));
    }
  }
  const std::string result = Json({{"answers", answers}, {"files", trace.files()}}).dump();
  copy.end();
  return result;
}

std::string cover(const Setting& setting, const std::string& folder,
                  const std::vector<TrapFile>& trapped) {
  Household household;
  Trace trace;
  for (const TrapFile& file : trapped) {
    if (const Outcome bound = bind_over(file.copy, file.path); !bound) {
      return error_text(bound.error().message);
    }
    trace.add(file.path, {file.original, {}, file.bias});
  }
  household.set_hook([&](pid_t pid, int status) { return trace.handle(pid, status); });
  Copy copy(household, setting.server, folder + "/copy");
  if (const Outcome made = renew(copy, folder); !made) {
    return error_text(made.error().message);
  }
  if (!copy.start({"coverage", {}, true, {}})) {
    return error_text(not_ready(folder, "coverage"));
  }
  trace.serving();
  Answers answers;
  copy.workload([] { return false; }, answers);
  copy.settle();
  RunSeen differences;
  compare(setting.reference, answers, differences);
  if (!differences.wrong.empty() || !differences.errors.empty()) {
    return error_text("traced, the server answers differently: " +
                      (differences.wrong.empty() ? differences.errors : differences.wrong).front());
  }
  copy.end();
  Json seen = Json::object();
  for (const auto& [path, file] : trace.trapped()) {
    Json places = Json::object();
    for (const auto& [address, serving] : file.executed) {
      places[hex(address)] = serving ? "serving" : "start-up";
    }
    seen[path] = std::move(places);
  }
  return Json({{"seen", std::move(seen)}}).dump();
}

std::string control(const Setting& setting, const std::string& folder) try {
  Household household;
  StoreLook store(folder + "/store");
  RunSeen run = later_run(setting, household, folder, store, 0);
  if (!run.ready) {
    return error_text(not_ready(folder, "run0"));
  }
  run.heals = 1;  // else it would be judged as a fault that did not recur
  const Judged judged = judge_later(run);
  if (judged.verdict != Verdict::healed || !run.errors.empty()) {
    return error_text(fmt::format("with the runtime and without a fault: {}: {}",
                                  name_of(judged.verdict), judged.what));
  }
  return Json({{"run", json_run(run)}}).dump();
} catch (const std::exception& error) {
  return error_text(error.what());
}

std::string try_fault(const Setting& setting, const std::string& folder, Kind kind,
                      const std::string& changed, const std::string& path) try {
  if (const Outcome bound = bind_over(changed, path); !bound) {
    return error_text(bound.error().message);
  }
  Household household;
  StoreLook store(folder + "/store");
  RunSeen first = first_run(setting, household, folder, store);
  if (needs_trace(kind, first)) {
    repeat_traced(setting, household, folder, store, first);
  }
  Judged judged = judge_first(kind, first);
  unsigned number = 1;
  RunSeen last = first;
  if (!first.faults.empty() && first.ready) {
    while (number < setting.runs) {
      last = later_run(setting, household, folder, store, ++number);
      judged = judge_later(last);
      if (last.faults.empty() || survived(judged.verdict)) {
        break;  // another run would know no more
      }
    }
  }
  if (kind == Kind::invert && judged.verdict == Verdict::wrong) {
    const size_t own = forgive_own(last, observed_run(setting, household, folder));
    judged = judge_later(last);
    judged.what += fmt::format("; {} answers are the wrong decision's, healed or not", own);
  }
  return Json({{"verdict", name_of(judged.verdict)},
               {"what", judged.what},
               {"run", number},
               {"first", json_run(first)},
               {"last", json_run(last)}})
      .dump();
} catch (const std::exception& error) {
  return error_text(error.what());
}

}  // namespace selfheal::cli::campaign
