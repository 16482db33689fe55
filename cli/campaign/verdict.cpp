#include "cli/campaign/verdict.h"

#include <algorithm>
#include <array>
#include <fmt/core.h>

namespace selfheal::cli::campaign {
namespace {

constexpr std::array<const char*, verdict_count> names = {
    "healed", "stopped",    "crash",    "hang",      "wrong",
    "leak",   "unrecorded", "start-up", "no-effect", "silent"};

std::string shortened(const std::string& text) {
  return text.size() <= 120 ? text : text.substr(0, 117) + "...";
}

// "a; b; and 3 more"
std::string listed(const std::vector<std::string>& items) {
  std::string result;
  for (size_t i = 0; i < items.size() && i < 3; ++i) {
    result += (i == 0 ? "" : "; ") + items[i];
  }
  return items.size() <= 3 ? result : fmt::format("{}; and {} more", result, items.size() - 3);
}

bool differs(const RunSeen& run) {
  return !run.errors.empty() || !run.wrong.empty() || !run.serves;
}

}  // namespace

const char* name_of(Verdict verdict) {
  return names[static_cast<size_t>(verdict)];
}

std::optional<Verdict> verdict_named(std::string_view name) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (name == names[i]) {
      return static_cast<Verdict>(i);
    }
  }
  return std::nullopt;
}

bool counts(Verdict verdict) {
  return verdict < Verdict::start_up;
}

bool survived(Verdict verdict) {
  return verdict == Verdict::healed || verdict == Verdict::stopped;
}

void compare(const Answers& reference, const Answers& answers, RunSeen& run) {
  for (const auto& [name, right] : reference) {
    const auto found = answers.find(name);
    if (found == answers.end()) {
      run.errors.push_back(name + ": no answer");
    } else if (found->second == right) {
      continue;
    } else if (found->second.kind != Answer::Kind::ok) {
      run.errors.push_back(shortened(name + ": " + found->second.text));
    } else {
      run.wrong.push_back(shortened(name + ": " + found->second.text));
    }
  }
  for (const auto& [name, answer] : answers) {
    if (!reference.contains(name)) {
      run.wrong.push_back(shortened(name + ": " + answer.text));
    }
  }
}

size_t forgive_own(RunSeen& run, const RunSeen& unhealed) {
  const auto forgive = [](std::vector<std::string>& answers, const std::vector<std::string>& own) {
    return std::erase_if(answers, [&](const std::string& answer) {
      return std::find(own.begin(), own.end(), answer) != own.end();
    });
  };
  return forgive(run.wrong, unhealed.wrong) + forgive(run.errors, unhealed.errors);
}

bool needs_trace(Kind kind, const RunSeen& run) {
  return kind == Kind::invert && run.ready && run.faults.empty() &&
         (differs(run) || !run.gone.empty());
}

Judged judge_first(Kind kind, const RunSeen& run) {
  if (!run.ready) {
    return {Verdict::start_up, "the server does not become ready"};
  }
  if (!run.faults.empty()) {
    return {Verdict::healed, ""};
  }
  if (!differs(run) && run.gone.empty() && !run.late && !run.busy) {
    return {Verdict::no_effect, ""};
  }
  std::string what = !run.gone.empty() ? "ended: " + listed(run.gone)
                     : run.late        ? "the workload did not end in time"
                     : run.busy        ? "a process goes on computing"
                                       : listed(run.errors.empty() ? run.wrong : run.errors);
  const bool hung = run.late || run.busy;
  if (kind == Kind::invert && !run.died && !hung) {
    return {Verdict::silent, what};
  }
  return {Verdict::unrecorded, what};
}

Judged judge_later(const RunSeen& run) {
  if (!run.faults.empty() || !run.gone.empty() || !run.ready) {
    if (!run.faults.empty() && run.all_stop) {
      return {Verdict::stopped, listed(run.faults)};
    }
    std::string what = run.ready ? "" : "does not become ready";
    if (!run.gone.empty()) {
      what += (what.empty() ? "ended: " : "; ended: ") + listed(run.gone);
    }
    if (!run.faults.empty()) {
      what += (what.empty() ? "" : "; ") + listed(run.faults);
    }
    return {Verdict::crash, what};
  }
  if (run.late || run.busy || (!run.serves && !run.check_healed)) {
    return {Verdict::hang, run.late   ? "the workload did not end in time"
                           : run.busy ? "a process goes on computing, or does not go away"
                                      : "the check fails afterwards"};
  }
  if (!run.wrong.empty()) {
    return {Verdict::wrong, listed(run.wrong)};
  }
  if (run.errors.size() > run.heals) {
    return {Verdict::wrong, fmt::format("{} errors for {} heals: {}", run.errors.size(), run.heals,
                                        listed(run.errors))};
  }
  if (!run.leaks.empty()) {
    return {Verdict::leak, listed(run.leaks)};
  }
  if (run.heals == 0 && !run.other_remedy) {
    return {Verdict::no_effect, "was recorded once, and did not recur"};
  }
  return {Verdict::healed,
          fmt::format("{} heals, {} errors{}", run.heals, run.errors.size(),
                      run.serves ? "" : "; the check's requests are healed to errors, too")};
}

Json json_run(const RunSeen& run) {
  return {{"ready", run.ready},
          {"late", run.late},
          {"busy", run.busy},
          {"serves", run.serves},
          {"check_healed", run.check_healed},
          {"gone", run.gone},
          {"errors", run.errors},
          {"wrong", run.wrong},
          {"leaks", run.leaks},
          {"faults", run.faults},
          {"heals", run.heals}};
}

}  // namespace selfheal::cli::campaign
