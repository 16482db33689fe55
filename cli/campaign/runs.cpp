#include "cli/campaign/runs.h"

#include <array>
#include <filesystem>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/stat.h>

#include "cli/campaign/trace.h"

namespace selfheal::cli::campaign {
namespace {

namespace fs = std::filesystem;

constexpr u64 memory_slack = 512;  // KiB a workload may leave behind without being looked at twice
constexpr u64 memory_leak = 256;   // KiB that are a leak when each workload leaves them behind

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
