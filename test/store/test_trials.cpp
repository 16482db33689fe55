// Whether heals stick: what threads and dying processes leave in the journal, and what the promoter
// makes of it.
#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <sys/wait.h>

#include "lib/store/levels.h"
#include "lib/store/promote.h"
#include "lib/store/trials.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

constexpr u64 region = 0x1000;
constexpr u64 second = 1'000'000'000;

u32 self() {
  return static_cast<u32>(getpid());
}

struct Fixture {
  Fixture() : store(folder.path()) {
    FaultRecord fault = fault_in(region, realtime_now() - 9 * second);
    fault.frame_count = 3;
    fault.frames[2] = {0x5000, 0, {}};
    fault.level_frames = 1 << 2;
    store->journal.record_fault(fault);
    promote(store.store, store.error);
    id = entry().id;
    key = candidate_key(id, {0, ValueSlot::best});
  }

  // As the file has it: what only counts is not published to those who live.
  CatalogEntry entry() {
    OpenStore again(folder.path());
    REQUIRE(again->catalog.entries().size() == 1);
    return again->catalog.entries()[0];
  }

  Score score(Candidate candidate = {0, ValueSlot::best}) {
    promote(store.store, store.error);
    return score_of(entry(), candidate);
  }

  TrialStart start(u32 pid = self()) const {
    return {key, realtime_now(), ~u64{0}, static_cast<u64>(ValueReason::caller_tests_sign), pid};
  }

  // Runs it in a process that then ends in the way it likes.
  void in_child(const std::function<void()>& what) {
    const pid_t child = fork();
    if (child == 0) {
      what();
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }

  Folder folder;
  OpenStore store;
  u64 id = 0;
  u64 key = 0;
};

}  // namespace

TEST_CASE("a heal sticks when its thread gets on") {
  Fixture f;
  TrialTicket ticket{};
  for (int i = 0; i < 3; ++i) {
    begin_trial(f.store->journal, f.start(), ticket);
    CHECK(is_pending(ticket));
    end_trial(f.store->journal, ticket, TrialEnd::stuck);
    CHECK_FALSE(is_pending(ticket));
    end_trial(f.store->journal, ticket, TrialEnd::stuck);  // only once
  }
  CHECK(f.score().stuck == 3);
  CHECK(f.entry().best_values[0] == ~u64{0});
  CHECK(f.entry().best_reasons[0] == ValueReason::caller_tests_sign);
  CHECK(f.entry().level == 0);
  release_trial(f.store->journal, ticket);
  CHECK(f.score().stuck == 3);
}

TEST_CASE("a fault of the same thread counts against it, and moves the region on") {
  Fixture f;
  const u64 evidence = evidence_in(f.store->journal);
  CHECK_FALSE(wants_promotion(f.store.store, evidence));
  const u64 generation = f.store->journal.generation();
  TrialTicket ticket{};
  begin_trial(f.store->journal, f.start(), ticket);
  end_trials_by_fault(f.store->journal, self(), realtime_now(), ticket);
  CHECK(wants_promotion(f.store.store, evidence));
  const Score score = f.score();
  CHECK((score.again == 1 && score.died == 0));
  CHECK(f.store->journal.generation() != generation);
  CHECK_FALSE(in_use(f.entry()) == Candidate{0, ValueSlot::best});
}

TEST_CASE("a connection left open counts against a heal that stuck, and is news") {
  Fixture f;
  TrialTicket ticket{};
  begin_trial(f.store->journal, f.start(), ticket);
  end_trial(f.store->journal, ticket, TrialEnd::stuck);
  CHECK(f.score().stuck == 1);
  const u64 evidence = evidence_in(f.store->journal);
  count_left_open(f.store->journal, f.key);
  CHECK(wants_promotion(f.store.store, evidence));
  const Score score = f.score();
  CHECK((score.stuck == 1 && score.left_open == 1));
  CHECK(f.entry().best_reasons[0] == ValueReason::caller_tests_sign);
}

TEST_CASE("heals of other threads are to blame only when they were not long ago") {
  Fixture f;
  TrialTicket recent{};
  TrialTicket old{};
  TrialTicket own{};
  begin_trial(f.store->journal, f.start(), recent);
  end_trial(f.store->journal, recent, TrialEnd::stuck);
  TrialStart start = f.start();
  start.time_ns -= 2 * soon_ns;
  begin_trial(f.store->journal, start, old);
  end_trial(f.store->journal, old, TrialEnd::stuck);
  end_trials_by_fault(f.store->journal, self(), realtime_now(), own);
  const Score score = f.score();
  CHECK((score.stuck == 2 && score.again == 0 && score.died == 1));
}

TEST_CASE("what a process leaves pending when it is killed, the promoter finds") {
  Fixture f;
  f.in_child([&] {
    TrialTicket ticket{};
    begin_trial(f.store->journal, f.start(self()), ticket);
    raise(SIGKILL);
  });
  CHECK(f.score().died == 1);
  CHECK(f.score().died == 1);  // once
}

TEST_CASE("a process that is gone after its heals stuck says nothing") {
  Fixture f;
  f.in_child([&] {
    TrialTicket ticket{};
    begin_trial(f.store->journal, f.start(self()), ticket);
    end_trial(f.store->journal, ticket, TrialEnd::stuck);
    raise(SIGKILL);
  });
  const Score score = f.score();
  CHECK((score.stuck == 1 && score.died == 0));
}

TEST_CASE("nor does one that ends in good order") {
  Fixture f;
  f.in_child([&] {
    TrialTicket mine{};
    TrialTicket others{};
    begin_trial(f.store->journal, f.start(self()), mine);
    begin_trial(f.store->journal, f.start(self()), others);
    release_trial(f.store->journal, mine);
    release_trials(f.store->journal, self());
  });
  const Score score = f.score();
  CHECK((score.stuck == 1 && score.again == 0 && score.died == 0));
}

TEST_CASE("what lives is left alone") {
  Fixture f;
  TrialTicket ticket{};
  begin_trial(f.store->journal, f.start(), ticket);
  CHECK(tries_of(f.score()) == 0);
  CHECK(is_pending(ticket));
  end_trial(f.store->journal, ticket, TrialEnd::stuck);
  CHECK(f.score().stuck == 1);
}

TEST_CASE("a full table, and none, cost evidence and nothing else") {
  Fixture f;
  std::vector<TrialTicket> tickets(trial_count + 10);
  for (TrialTicket& ticket : tickets) {
    begin_trial(f.store->journal, f.start(), ticket);
  }
  CHECK_FALSE(is_pending(tickets.back()));
  for (TrialTicket& ticket : tickets) {
    end_trial(f.store->journal, ticket, TrialEnd::stuck);
  }
  CHECK(f.score().stuck == trial_count);
  const Journal none;
  TrialTicket ticket{};
  begin_trial(none, f.start(), ticket);
  CHECK_FALSE(is_pending(ticket));
  end_trials_by_fault(none, self(), 0, ticket);
  CHECK_FALSE(any_tally(none));
}

TEST_CASE("more candidates than there are tallies make room when they are collected") {
  Fixture f;
  for (int round = 0; round < 4; ++round) {
    for (u64 other = 0; other < 2 * tally_count; ++other) {
      TrialTicket ticket{};
      TrialStart start = f.start();
      start.candidate = candidate_key(0x100 + other + u64(round) * 0x10000, {});
      begin_trial(f.store->journal, start, ticket);
      release_trial(f.store->journal, ticket);
    }
    promote(f.store.store, f.store.error);
    promote(f.store.store, f.store.error);
  }
  TrialTicket ticket{};
  begin_trial(f.store->journal, f.start(), ticket);
  end_trial(f.store->journal, ticket, TrialEnd::stuck);
  CHECK(f.score().stuck == 1);
}

TEST_CASE("a fault right after a heal is that heal's, as long as there is another candidate") {
  Fixture f;
  FaultRecord next = fault_in(0x5000, realtime_now());
  next.after_heal = f.key;
  f.store->journal.record_fault(next);
  Promotion promotion = promote(f.store.store, f.store.error);
  CHECK(promotion.new_entries == 0);
  CHECK(promotion.archived == 1);
  for (u8 level = 0; level < 2; ++level) {
    TrialTicket ticket{};
    TrialStart start = f.start();
    start.candidate = candidate_key(f.id, {level, ValueSlot::best});
    start.reason = static_cast<u64>(ValueReason::unused);
    begin_trial(f.store->journal, start, ticket);
    end_trial(f.store->journal, ticket, TrialEnd::again);
  }
  next.time_ns = realtime_now();
  f.store->journal.record_fault(next);
  promotion = promote(f.store.store, f.store.error);
  CHECK(promotion.new_entries == 1);
}

TEST_CASE("a level that turned out to be none is passed over") {
  Fixture f;
  HealRecord unfit = {};
  unfit.time_ns = realtime_now();
  unfit.pid = self();
  unfit.region.entry.module = no_module;
  unfit.outcome = HealOutcome::unfit;
  unfit.candidate = candidate_key(f.id, {1, ValueSlot::best});
  f.store->journal.record_heal(unfit);
  promote(f.store.store, f.store.error);
  CHECK(f.entry().unfit_levels == 2);
  CHECK(f.entry().heal_count == 0);
}

TEST_CASE("a hostile journal's tallies touch nothing but scores in range") {
  Fixture f;
  Tally* const tallies = f.store->journal.tallies();
  tallies[0] = {
      f.id | u64{15} << 60 | u64{15} << 56, ~u64{0}, ~u64{0}, ~u64{0}, 1, ~u64{0}, ~u64{0}, 0};
  tallies[1] = {f.key, 7, ~u64{0}, 3, 1, ~u64{0}, ~u64{0}, 0};
  const CatalogEntry before = f.entry();
  promote(f.store.store, f.store.error);
  CatalogEntry after = f.entry();
  CHECK(after.best_reasons[0] == ValueReason::none);
  CHECK(after.value == before.value);
  CHECK(after.level < level_count(after));
}
