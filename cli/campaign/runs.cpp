#include "cli/campaign/runs.h"

#include <array>
#include <filesystem>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/stat.h>

#include "cli/campaign/holdings.h"
#include "cli/campaign/trace.h"

namespace selfheal::cli::campaign {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> environment_of(const Setting& setting, const std::string& store) {
  return {"LD_PRELOAD=" + setting.library, "SELFHEAL_STORE=" + store,
          "SELFHEAL_OPTIONS=" + setting.options};
}

// A started server asked once, and what it holds when it has become quiet. False: there is no point
// in going on.
bool ask(const Setting& setting, Copy& copy, StoreLook& store, RunSeen& run,
         std::vector<Holdings>& looks) {
  Answers answers;
  const WorkloadEnd end = copy.workload([&] { return store.has_stopped(); }, answers);
  if (end == WorkloadEnd::stopped) {
    return false;
  }
  run.late = end == WorkloadEnd::late;
  compare(setting.reference, answers, run);
  run.busy = !copy.settle();
  run.gone = copy.gone();
  looks.push_back(holdings(copy));
  return !run.late && run.gone.empty();
}

// Twice; where more is held then, twice more; and where it grows each time, again when the server
// had the time to give it back.
bool ask_for_leaks(const Setting& setting, Copy& copy, StoreLook& store, RunSeen& run) {
  std::vector<Holdings> looks;
  for (unsigned i = 0; i < 4; ++i) {
    if (i == 2 && !grew(looks[0], looks[1])) {
      return true;
    }
    if (!ask(setting, copy, store, run, looks)) {
      return false;
    }
  }
  looks.erase(looks.begin());
  run.leaks = leaks_of(looks);
  if (run.leaks.empty() || setting.server.linger == milliseconds(0)) {
    return true;
  }
  // The engine's memory and the allocator's, some 100 KiB each, come once for each thread, when it
  // is that thread's turn: no leak, and over after some workloads.
  constexpr unsigned most_turns = 8;
  Holdings before = when_given_back(copy, looks.front());
  for (unsigned turn = 0; turn < most_turns; ++turn) {
    if (!ask(setting, copy, store, run, looks)) {
      return false;
    }
    const Holdings after = when_given_back(copy, before);
    run.leaks = leaks_of({before, after});
    if (!only_memory_grew(before, after)) {
      break;
    }
    before = after;
  }
  return true;
}

// A started server's workloads, looks and checks.
void drive(const Setting& setting, Copy& copy, StoreLook& store, RunSeen& run) {
  if (!ask_for_leaks(setting, copy, store, run)) {
    return;
  }
  run.busy = run.busy && !copy.settle_at_last();
  const u64 heals = store.heals();
  run.serves = copy.check();
  // A fault that every request comes by: the check cannot pass, and is answered with errors.
  run.check_healed = !run.serves && store.heals() > heals;
  run.gone = copy.gone();
}

}  // namespace

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

namespace {

// In the middle of a trial it is no fault's doing: the whole trial is void.
void renew_or_throw(Copy& copy, const std::string& folder) {
  if (const Outcome made = renew(copy, folder); !made) {
    throw std::runtime_error(made.error().message);
  }
}

}  // namespace

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

RunSeen observed_run(const Setting& setting, Household& household, const std::string& folder) {
  RunSeen run;
  Copy copy(household, setting.server, folder + "/copy");
  renew_or_throw(copy, folder);
  Setting observing = setting;
  observing.options += ":mode=observe";
  run.ready = copy.start({"observed", environment_of(observing, folder + "/observed"), false, {}});
  for (unsigned i = 0; i < 2 && run.ready; ++i) {
    Answers answers;
    copy.workload([] { return false; }, answers);
    compare(setting.reference, answers, run);
  }
  copy.end();
  return run;
}

void repeat_traced(const Setting& setting, Household& household, const std::string& folder,
                   StoreLook& store, RunSeen& first) {
  Trace trace;
  household.set_hook([&](pid_t pid, int status) { return trace.handle(pid, status); });
  Copy copy(household, setting.server, folder + "/copy");
  renew_or_throw(copy, folder);
  if (copy.start({"traced", environment_of(setting, store.path()), true, {}})) {
    trace.serving();
    Answers answers;
    copy.workload([] { return false; }, answers);
    copy.settle();
  }
  copy.end();
  household.set_hook({});
  first.died = !trace.deaths().empty();
  store.read_into(first);
}

}  // namespace selfheal::cli::campaign
