#include "cli/supervisor.h"

#include <algorithm>
#include <csignal>
#include <fmt/core.h>
#include <memory>
#include <optional>
#include <sys/wait.h>

#include "cli/health_watch.h"
#include "cli/memory_watch.h"
#include "cli/oom_kills.h"
#include "cli/process_tree.h"
#include "cli/session.h"
#include "cli/supervised_program.h"
#include "cli/wait_status.h"

namespace selfheal::cli {
namespace {

using std::chrono::milliseconds;

class Supervisor {
 public:
  Supervisor(const Launch& launch, const Supervision& supervision, const SupervisorHooks& hooks)
      : launch_(launch),
        supervision_(supervision),
        policy_(supervision.restart),
        hooks_(hooks),
        program_(launch, [this](pid_t pid, int status) { child_reaped(pid, status); }) {
    if (supervision.health.wanted()) {
      auto health = std::make_unique<HealthWatch>(supervision.health, program_.original_mask());
      health_ = health.get();
      watches_.push_back(std::move(health));
    }
    if (supervision.memory_limit != 0) {
      watches_.push_back(
          std::make_unique<MemoryWatch>(supervision.memory_limit, [this] { return processes(); }));
    }
  }

  Outcome run() {
    unsigned restarts = 0;
    for (;;) {
      const Clock::time_point started = Clock::now();
      if (Outcome outcome = program_.start(); !outcome) {
        return outcome;
      }
      const int status = watch_until_end();
      if (ended_for_good(status)) {
        return exit_status_of(status);
      }
      note_death(status);
      if (!policy_.wanted) {
        return final_status(status);
      }
      if (Clock::now() - started >= policy_.healthy_after) {
        restarts = 0;
      }
      ++restarts;
      hooks_.before_restart();
      if (policy_.max_restarts != 0 && restarts > policy_.max_restarts) {
        warn(fmt::format("{} {}; gave up after {} restarts", launch_.path, ending(status),
                         policy_.max_restarts));
        return final_status(status);
      }
      const milliseconds delay = restart_delay(policy_, restarts);
      warn(fmt::format("{} {}; restart {} in {} ms", launch_.path, ending(status), restarts,
                       delay.count()));
      program_.end_group(milliseconds(1000));
      program_.wait_until(Clock::now() + delay);
      if (program_.told_to_end()) {
        return final_status(status);
      }
    }
  }

 private:
  int watch_until_end() {
    trouble_.reset();
    const OomKills oom_kills(program_.pid());
    for (const auto& watch : watches_) {
      watch->program_started(program_.pid(), Clock::now());
    }
    while (!program_.ended()) {
      program_.sleep_until(next_due());
      look();
    }
    for (const auto& watch : watches_) {
      watch->program_ended();
    }
    oom_ = oom_kills.since();
    return program_.wait_status();
  }

  void child_reaped(pid_t pid, int status) {
    for (const auto& watch : watches_) {
      if (watch->reaped(pid, status, Clock::now())) {
        return;
      }
    }
  }

  Clock::time_point next_due() const {
    Clock::time_point earliest = Clock::time_point::max();
    for (const auto& watch : watches_) {
      earliest = std::min(earliest, watch->due());
    }
    return earliest;
  }

  void look() {
    for (const auto& watch : watches_) {
      if (!goes_on()) {
        return;
      }
      if (std::optional<Trouble> trouble = watch->look(Clock::now())) {
        end_in_trouble(std::move(*trouble));
        return;
      }
    }
  }

  // All processes of the program, wherever they have put themselves.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> strangers;
    if (health_ != nullptr && health_->child() > 0) {
      strangers.push_back(health_->child());
    }
    return program_processes(program_.pid(), strangers);
  }

  // Has it tell what it does, then ends it. A signal to end cuts that short: the program has got
  // it, too.
  void end_in_trouble(Trouble trouble) {
    warn(fmt::format("{}: {}", launch_.path, trouble.what));
    hooks_.trouble(trouble, processes(), [this](milliseconds time) {
      const Clock::time_point deadline = Clock::now() + time;
      while (goes_on() && Clock::now() < deadline) {
        program_.sleep_until(deadline);
      }
      return goes_on();
    });
    if (program_.ended()) {
      return;
    }
    trouble_ = std::move(trouble);
    kill(program_.pid(), SIGCONT);  // a stopped process takes no SIGTERM
    program_.end_group(supervision_.stop_timeout);
    kill(program_.pid(), SIGKILL);  // should it have left its group
    while (!program_.ended()) {
      program_.sleep_until(Clock::time_point::max());
    }
  }

  bool goes_on() const { return !program_.ended() && !program_.told_to_end(); }

  // Written down here is only what nobody inside could: a death that no handler sees.
  void note_death(int status) {
    if (trouble_ || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
      return;
    }
    hooks_.record({program_.pid(), FaultKind::other_signal, SIGKILL, 0, kill_story()});
  }

  std::string kill_story() const {
    switch (oom_) {
      case OomKills::Verdict::here:
        return "killed by the kernel's OOM killer: out of memory in its control group";
      case OomKills::Verdict::somewhere:
        return "killed by SIGKILL, not by selfheal; the kernel's OOM killer was at work meanwhile";
      case OomKills::Verdict::no:
        break;
    }
    return "killed by SIGKILL, not by selfheal, and not by the OOM killer";
  }

  std::string ending(int status) const {
    if (trouble_) {
      return "was ended";
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "was " + kill_story()
                                                              : ending_of(status);
  }

  int final_status(int status) const {
    return trouble_ ? exit_ended_by_us : exit_status_of(status);
  }

  bool ended_for_good(int status) const {
    if (program_.told_to_end() || trouble_) {
      return program_.told_to_end();
    }
    if (WIFEXITED(status)) {
      return WEXITSTATUS(status) == 0 || is_clean_death(WEXITSTATUS(status) - 128);
    }
    return is_clean_death(WTERMSIG(status)) || WTERMSIG(status) == program_.last_forwarded();
  }

  const Launch& launch_;
  const Supervision& supervision_;
  const RestartPolicy& policy_;
  const SupervisorHooks& hooks_;
  std::vector<std::unique_ptr<Watch>> watches_;
  const HealthWatch* health_ = nullptr;  // one of them
  SupervisedProgram program_;
  std::optional<Trouble> trouble_;  // for which we end it, or ended it
  OomKills::Verdict oom_ = OomKills::Verdict::no;
};

}  // namespace

milliseconds restart_delay(const RestartPolicy& policy, unsigned restarts) {
  milliseconds delay = policy.first_delay;
  for (unsigned i = 1; i < restarts && delay < policy.longest_delay; ++i) {
    delay *= 2;
  }
  return std::min(delay, policy.longest_delay);
}

Outcome supervise(const Launch& launch, const Supervision& supervision,
                  const SupervisorHooks& hooks) {
  return Supervisor(launch, supervision, hooks).run();
}

}  // namespace selfheal::cli
