#include "lib/runtime/sticking.h"

#include <atomic>
#include <unistd.h>

#include "emulator/thread.h"
#include "lib/runtime/left_open.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/storm.h"
#include "lib/store/levels.h"
#include "lib/store/trials.h"

namespace selfheal::runtime {
namespace {

constinit thread_local store::TrialTicket trial{};
constinit thread_local u64 healed_in = 0;  // the activation around the pending heal
constinit thread_local u32 repeated = 0;   // heals in it before, by the same candidate
constinit thread_local bool on_trial = false;
constinit thread_local u64 stood_in_for = 0;
constinit thread_local Storm storm{};
constinit std::atomic<bool> any{false};  // trials were begun by this process

store::Journal& journal() {
  return runtime.store.journal;
}

u32 own_pid() {
  return static_cast<u32>(getpid());
}

// Does a heal by `next` say that the one by `last`, in the same activation, was no good? One of the
// same region may be the next turn of a loop, but for one further out.
bool is_setback(u64 last, u64 next) {
  return store::id_of_key(last) != store::id_of_key(next) ||
         store::candidate_of_key(last).level < store::candidate_of_key(next).level;
}

// The first heal of what may become a storm is like any other. Later ones say nothing by reaching
// another readiness call, until there are enough of them.
store::TrialEnd end_at(probes::BlockingCall call) {
  if (call == probes::BlockingCall::takes || storm.turns() == 0) {
    return store::TrialEnd::stuck;
  }
  return storm.has_failed() ? store::TrialEnd::again : store::TrialEnd::dropped;
}

DoneInEngine done_in_engine() {
  return {emulator::this_thread.taken, emulator::this_thread.waited};
}

// The candidate's function waits itself, and who calls it has it wait again, whatever it returns:
// what is further out is the service loop.
void rule_out_further_levels(u64 candidate) {
  for (u8 level = store::candidate_of_key(candidate).level + 1; level < store::max_levels;
       ++level) {
    for (const store::ValueSlot slot :
         {store::ValueSlot::best, store::ValueSlot::zero, store::ValueSlot::minus_one}) {
      store::count_again(journal(),
                         store::candidate_key(store::id_of_key(candidate), {level, slot}));
    }
  }
}

}  // namespace

// Another heal may be another request's, in a program whose progress points are not seen; unless
// both are of the same activation.
void begin_sticking(const HealRecord& record, const HealSetting& setting) {
  const bool same_activation = healed_in != 0 && healed_in == setting.rolled_back;
  if (same_activation && store::is_pending(trial) &&
      is_setback(trial.candidate, record.candidate)) {
    store::end_trial(journal(), trial, store::TrialEnd::again);
  }
  const bool same_candidate = trial.candidate == record.candidate;
  repeated = same_activation && same_candidate ? repeated + 1 : 0;
  healed_in = setting.nested_in;
  on_trial = setting.on_trial;
  stood_in_for = setting.stood_in_for;
  storm.heal(record.candidate, done_in_engine(), monotonic_ns());
  if (record.candidate == 0) {
    return;
  }
  any.store(true);
  store::begin_trial(
      journal(),
      {record.candidate, record.time_ns, record.value, static_cast<u64>(record.reason), record.pid},
      trial);
  watch_connections(record.candidate);
  probes::look_again();
}

void drop_sticking() {
  store::end_trial(journal(), trial, store::TrialEnd::dropped);
}

void note_progress_point(probes::BlockingCall call) {
  if (!store::is_pending(trial)) {
    return;
  }
  const store::TrialEnd end = end_at(call);
  store::end_trial(journal(), trial, end);
  // It will not be there at the next turn either.
  if (stood_in_for != 0 && end == store::TrialEnd::again) {
    store::count_again(journal(), stood_in_for);
  }
  if (on_trial && end == store::TrialEnd::stuck) {
    journal().count_remark();
  }
}

bool awaits_progress(probes::BlockingCall call) {
  if (!storm.may_go_on()) {
    return false;
  }
  if (call == probes::BlockingCall::takes) {
    storm.end();
  } else {
    storm.wait(monotonic_ns());
  }
  return storm.may_go_on();
}

bool gives_up(u64 candidate, bool nothing_helps) {
  if (!storm.is_prolonged(candidate, done_in_engine(), monotonic_ns())) {
    return false;
  }
  if (storm.is_inside()) {
    rule_out_further_levels(candidate);
  }
  return nothing_helps || storm.is_inside();
}

PendingHeal pending_heal_in(u64 activation) {
  const bool pending = healed_in == activation && store::is_pending(trial);
  return pending ? PendingHeal{trial.candidate, repeated} : PendingHeal{};
}

u64 pending_candidate() {
  return store::is_pending(trial) && stood_in_for == 0 ? trial.candidate : 0;
}

void heals_were_no_good() {
  if (any.load()) {
    store::end_trials_by_fault(journal(), own_pid(), realtime_ns(), trial);
  }
}

void end_sticking_of_thread() {
  store::release_trial(journal(), trial);
}

void end_sticking_of_process() {
  if (any.load()) {
    store::release_trial(journal(), trial);
    store::release_trials(journal(), own_pid());
  }
}

void forget_sticking() {
  trial = {};
  storm = {};
  any.store(false);
  forget_connections();
}

namespace {

// Says something of a candidate, with no fault.
void record_remark(u64 candidate, HealOutcome outcome) {
  HealRecord record{};
  record.time_ns = realtime_ns();
  record.pid = own_pid();
  record.tid = static_cast<u32>(gettid());
  record.site.module = record.region.entry.module = record.return_address.module = no_module;
  record.candidate = candidate;
  record.level = store::candidate_of_key(candidate).level;
  record.outcome = outcome;
  journal().record_heal(record);
  journal().count_remark();
}

}  // namespace

void record_unfit(u64 candidate) {
  record_remark(candidate, HealOutcome::unfit);
}

void record_access(u64 id) {
  record_remark(store::candidate_key(id, {0, store::ValueSlot::best}), HealOutcome::access);
}

}  // namespace selfheal::runtime
