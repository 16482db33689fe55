#include "cli/campaign/trial.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <stdexcept>
#include <sys/stat.h>

#include "cli/campaign/cell.h"
#include "cli/campaign/store_look.h"
#include "cli/campaign/trace.h"

namespace selfheal::cli::campaign {
namespace {

namespace fs = std::filesystem;

constexpr u64 memory_slack = 512;  // KiB a workload may leave behind without being looked at twice
constexpr u64 memory_leak = 256;   // KiB that are a leak when each workload leaves them behind

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

// A fresh folder for the copy, prepared.
Outcome renew(Copy& copy, const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder + "/copy", error);
  fs::create_directories(folder + "/copy", error);
  if (error) {
    return fail(fmt::format("cannot make {}/copy: {}", folder, error.message()));
  }
  // Servers that give up root have to reach it.
  ::chmod(folder.c_str(), 0755);
  ::chmod((folder + "/copy").c_str(), 0755);
  return copy.prepare();
}

// In the middle of a trial it is no fault's doing: the whole trial is void.
void renew_or_throw(Copy& copy, const std::string& folder) {
  if (const Outcome made = renew(copy, folder); !made) {
    throw std::runtime_error(made.error().message);
  }
}

std::string not_ready(const std::string& folder, const std::string& run) {
  return fmt::format("the server did not become ready{} (its output: {}/{}.server.err)",
                     last_lines(fmt::format("{}/{}.server.err", folder, run)), folder, run);
}

std::vector<std::string> environment_of(const Setting& setting, const std::string& store) {
  return {"LD_PRELOAD=" + setting.library, "SELFHEAL_STORE=" + store,
          "SELFHEAL_OPTIONS=" + setting.options};
}

// What the long-lived processes hold.
struct Holdings {
  u64 descriptors = 0;
  u64 threads = 0;
  u64 memory = 0;
  u64 processes = 0;
};

Holdings holdings(const Copy& copy) {
  Holdings sum;
  for (const Sight& sight : copy.processes()) {
    sum.descriptors += sight.descriptors;
    sum.threads += sight.threads;
    sum.memory += sight.resident;
    ++sum.processes;
  }
  return sum;
}

bool grew(const Holdings& before, const Holdings& after, u64 memory) {
  return after.descriptors > before.descriptors || after.threads > before.threads ||
         after.processes > before.processes || after.memory > before.memory + memory;
}

// What grew with each workload. The first looks may differ for good reasons (a thread's first heal
// touches its undo log), so that two more workloads are asked.
std::vector<std::string> leaks_of(const std::vector<Holdings>& looks) {
  std::vector<std::string> leaks;
  const auto each = [&](const char* what, u64 Holdings::*field, u64 least) {
    std::string steps;
    for (size_t i = 1; i < looks.size(); ++i) {
      if (looks[i].*field < looks[i - 1].*field + least) {
        return;
      }
      steps +=
          fmt::format("{}{}", steps.empty() ? "" : ", ", looks[i].*field - looks[i - 1].*field);
    }
    leaks.push_back(fmt::format("{} more {} after each workload", steps, what));
  };
  each("descriptors", &Holdings::descriptors, 1);
  each("threads", &Holdings::threads, 1);
  each("processes", &Holdings::processes, 1);
  each("KiB", &Holdings::memory, memory_leak);
  return leaks;
}

// A started server's workloads, looks and checks.
void drive(const Setting& setting, Copy& copy, const StoreLook& store, RunSeen& run) {
  std::vector<Holdings> looks;
  for (unsigned i = 0; i < 4; ++i) {
    if (i == 2 && !grew(looks[0], looks[1], memory_slack)) {
      break;
    }
    Answers answers;
    run.late = copy.workload([] { return false; }, answers) == WorkloadEnd::late;
    compare(setting.reference, answers, run);
    run.busy = !copy.settle();
    run.gone = copy.gone();
    looks.push_back(holdings(copy));
    if (run.late || !run.gone.empty()) {
      return;
    }
  }
  if (looks.size() == 4) {
    run.leaks = leaks_of({looks.begin() + 1, looks.end()});
  }
  const u64 heals = store.heals();
  run.serves = copy.check();
  // A fault that every request comes by: the check cannot pass, and is answered with errors.
  run.check_healed = !run.serves && store.heals() > heals;
  run.gone = copy.gone();
}

RunSeen later_run(const Setting& setting, Household& household, const std::string& folder,
                  StoreLook& store, unsigned number) {
  RunSeen run;
  Copy copy(household, setting.server, folder + "/copy");
  renew_or_throw(copy, folder);
  run.ready =
      copy.start({fmt::format("run{}", number), environment_of(setting, store.path()), false, {}});
  if (run.ready) {
    drive(setting, copy, store, run);
  }
  copy.end();
  store.read_into(run);
  return run;
}

// Until something is recorded, or the workload has ended and nothing happens any more.
RunSeen first_run(const Setting& setting, Household& household, const std::string& folder,
                  StoreLook& store) {
  RunSeen run;
  const auto recorded = [&] { return store.has_new_fault(); };
  Copy copy(household, setting.server, folder + "/copy");
  renew_or_throw(copy, folder);
  run.ready =
      copy.start({"run1", environment_of(setting, store.path()), false, recorded}) && !recorded();
  if (run.ready) {
    Answers answers;
    run.late = copy.workload(recorded, answers) == WorkloadEnd::late;
    if (!recorded()) {
      compare(setting.reference, answers, run);
      run.busy = !copy.settle();
      if (run.busy || run.late) {
        // A loop is recorded when it has used enough of processor time, however busy we are.
        household.pump_until(recorded, Clock::now() + setting.server.timeout);
      }
      run.serves = copy.check();
      run.gone = copy.gone();
    }
  }
  copy.end();
  store.read_into(run);
  return run;
}

// As the first run, but traced, to see whether anything dies of a signal.
bool dies_traced(const Setting& setting, Household& household, const std::string& folder) {
  Trace trace;
  household.set_hook([&](pid_t pid, int status) { return trace.handle(pid, status); });
  Copy copy(household, setting.server, folder + "/copy");
  renew_or_throw(copy, folder);
  if (copy.start({"traced", {}, true, {}})) {
    trace.serving();
    Answers answers;
    copy.workload([] { return false; }, answers);
    copy.settle();
  }
  copy.end();
  household.set_hook({});
  return !trace.deaths().empty();
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
    if (!answer.ok) {
      return error_text(fmt::format(
          "the workload has errors with a server that nothing was done to: {}: {} (a refusal that "
          "is right must be printed as ok)",
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
    first.died = dies_traced(setting, household, folder);
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
