// Which candidate is used, and how evidence moves it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "lib/store/catalog.h"
#include "lib/store/levels.h"
#include "lib/store/policy.h"
#include "lib/store/remedies.h"
#include "lib/store/sanitize.h"
#include "test/store/support.h"
#include "test/support/random.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

constexpr Candidate guess{0, ValueSlot::best};
constexpr Candidate outer{1, ValueSlot::best};

// A fault with `levels` functions around the blamed one, every other frame being one.
FaultRecord deep_fault(unsigned levels, u64 time_ns = 10) {
  FaultRecord record = fault_in(0x1000, time_ns);
  record.frame_count = static_cast<u8>(1 + 2 * levels);
  for (u8 i = 1; i < record.frame_count; ++i) {
    record.frames[i] = {0x4000 + u64{i} * 0x100, 0, {}};
    record.level_frames |= i % 2 == 0 ? u32{1} << i : 0;
  }
  return record;
}

CatalogEntry entry_with(unsigned levels, ValueReason reason = ValueReason::unused) {
  CatalogEntry entry = entry_from(deep_fault(levels));
  std::fill(std::begin(entry.best_reasons), std::end(entry.best_reasons), reason);
  return entry;
}

void add(CatalogEntry& entry, Candidate candidate, u64 stuck, u64 again, u64 died = 0,
         u64 left_open = 0) {
  Tally tally = {};
  tally.left_open = left_open;
  tally.stuck = stuck;
  tally.again = again;
  tally.died = died;
  add_tally(entry, candidate, tally);
}

// The rule, spelt out the long way round.
Candidate chosen_the_long_way(const CatalogEntry& entry) {
  std::vector<Candidate> all;
  for (u8 level = 0; level < max_levels; ++level) {
    for (u8 slot = 0; slot < values_a_level; ++slot) {
      const bool alone = has_remedy(entry.remedies, Remedy::stack_check) || !needs_engine(entry);
      if ((level == 0 || !alone) && usable(entry, {level, static_cast<ValueSlot>(slot)})) {
        all.push_back({level, static_cast<ValueSlot>(slot)});
      }
    }
  }
  const auto rank = [&](Candidate c) {
    const Evidence evidence = entry.evidence[c.level];
    const bool looked_at =
        entry.evidence[0] == Evidence::guess || entry.evidence[0] == Evidence::yes_or_no;
    const bool near = c.level < 2 || !looked_at;
    const bool knows = (near && evidence == Evidence::asked) ||
                       (near && evidence == Evidence::own_error) || evidence == Evidence::learned ||
                       (near && evidence == Evidence::throws);
    const bool cannot =
        evidence == Evidence::library || (evidence == Evidence::outermost && c.level != 0);
    const bool granted = evidence == Evidence::granted;
    const bool best = c.slot == ValueSlot::best;
    const bool unlikely = granted || evidence == Evidence::unknown;
    return knows ? 0 : cannot || (granted && !best) ? 3 : unlikely ? 2 : 1;
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](Candidate a, Candidate b) { return rank(a) < rank(b); });
  const auto verdict = [&](Candidate c) {
    return entry.verdicts[c.level][static_cast<u8>(c.slot)];
  };
  const auto works = [&](Candidate c) { return !failed(entry, c); };
  const auto tested = std::find_if(all.begin(), all.end(), [&](Candidate c) {
    return works(c) && verdict(c) == Verdict::healed;
  });
  if (tested != all.end()) {
    return *tested;
  }
  if (const auto any = std::find_if(all.begin(), all.end(), works); any != all.end()) {
    const auto stuck = std::find_if(all.begin(), all.end(), [&](Candidate c) {
      const Score& score = score_of(entry, c);
      return works(c) && c.level > any->level && score.stuck > score.left_open;
    });
    return tries_of(score_of(entry, *any)) == 0 && stuck != all.end() ? *stuck : *any;
  }
  const auto rate = [&](Candidate c) {
    const Score& score = score_of(entry, c);
    const int clean = std::max(0, score.stuck - score.left_open);
    return (clean + 1.0) / (tries_of(score) + 2.0);
  };
  return *std::max_element(all.begin(), all.end(),
                           [&](Candidate a, Candidate b) { return rate(a) < rate(b) - 1e-12; });
}

}  // namespace

TEST_CASE("a fault's functions outwards are its region's levels") {
  const CatalogEntry entry = entry_with(3);
  CHECK(level_count(entry) == 4);
  CHECK(frame_of_level(entry, 0) == 0);
  CHECK(frame_of_level(entry, 1) == 2);
  CHECK(frame_of_level(entry, 3) == 6);
  CHECK(level_count(entry_with(0)) == 1);
  CHECK(level_count(entry_with(15)) == max_levels);
  CHECK(choose(entry) == guess);
}

TEST_CASE("a heal that did not stick moves on: the next value, then the next function") {
  CatalogEntry entry = entry_with(2, ValueReason::fallback);
  entry.best_values[0] = 0;
  entry.best_values[1] = ~u64{0};
  const std::vector<Candidate> order = {{0, ValueSlot::best}, {0, ValueSlot::minus_one},
                                        {1, ValueSlot::best}, {1, ValueSlot::zero},
                                        {2, ValueSlot::best}, {2, ValueSlot::minus_one}};
  for (const Candidate& candidate : order) {
    CHECK(in_use(entry) == candidate);
    CHECK(any_left(entry));
    add(entry, candidate, 0, 1);
    move_on(entry);
  }
  CHECK_FALSE(any_left(entry));
}

TEST_CASE("where the failing value is known no other is tried") {
  CatalogEntry entry = entry_with(1, ValueReason::caller_tests_null);
  CHECK_FALSE(usable(entry, {0, ValueSlot::zero}));
  CHECK_FALSE(usable(entry, {0, ValueSlot::minus_one}));
  add(entry, guess, 0, 1);
  CHECK(choose(entry) == outer);
}

TEST_CASE("one death without a fault is no proof, and a candidate that mostly sticks is kept") {
  CatalogEntry entry = entry_with(1);
  add(entry, guess, 0, 0, 1);
  CHECK(choose(entry) == guess);
  add(entry, guess, 0, 0, 1);
  CHECK(choose(entry) == outer);
  add(entry, guess, 8, 0);
  CHECK(choose(entry) == guess);
  add(entry, guess, 0, 1);
  CHECK(choose(entry) == guess);
  CatalogEntry other = entry_with(1);
  add(other, guess, 3, 1);
  CHECK(choose(other) == outer);
}

TEST_CASE("heals that leave connections open are a matter of the function, not of the value") {
  CatalogEntry entry = entry_with(2, ValueReason::fallback);
  add(entry, guess, 2, 0, 0, 1);
  CHECK(choose(entry) == guess);
  add(entry, guess, 0, 0, 0, 1);
  CHECK(choose(entry) == outer);
  add(entry, guess, 10, 0);
  CHECK(choose(entry) == guess);
}

TEST_CASE("when all have failed, it is the one that sticks most often") {
  CatalogEntry entry = entry_with(2);
  add(entry, guess, 1, 5);
  add(entry, outer, 4, 6);
  add(entry, {2, ValueSlot::best}, 1, 9);
  CHECK(choose(entry) == outer);
}

TEST_CASE("a new region begins at the innermost function that knows how to fail") {
  FaultRecord record = deep_fault(3);
  CHECK(entry_from(record).level == 0);  // nothing is known: as ever
  record.evidence[0] = Evidence::nobody;
  record.evidence[1] = Evidence::guess;
  record.evidence[2] = Evidence::own_error;
  record.evidence[3] = Evidence::own_error;
  CatalogEntry entry = entry_from(record);
  const std::vector<u8> order = {2, 3, 0, 1};
  for (const u8 level : order) {
    CHECK(in_use(entry) == Candidate{level, ValueSlot::best});
    add(entry, in_use(entry), 0, 1);
    move_on(entry);
  }
  record.evidence[0] = Evidence::asked;
  CHECK(entry_from(record).level == 0);
  record.evidence[0] = Evidence::library;
  record.evidence[2] = record.evidence[3] = Evidence::guess;
  CHECK(entry_from(record).level == 1);  // qsort makes nothing of an error
  record.evidence[0] = record.evidence[2] = record.evidence[3] = Evidence::yes_or_no;
  CHECK(entry_from(record).level == 0);
}

TEST_CASE(
    "where somebody looks at what the faulting function returns, no more than its caller may "
    "fail") {
  for (const Evidence own : {Evidence::guess, Evidence::yes_or_no}) {
    FaultRecord record = deep_fault(3);
    record.evidence[0] = own;
    record.evidence[2] = Evidence::own_error;
    CHECK(entry_from(record).level == 0);
    record.evidence[1] = Evidence::asked;
    CHECK(entry_from(record).level == 1);
    record.evidence[1] = Evidence::nobody;
    record.evidence[3] = Evidence::learned;
    CHECK(entry_from(record).level == 3);
  }
}

TEST_CASE("who is taken for granted fails only after those who may be asked, and in one way") {
  CatalogEntry entry = entry_with(2, ValueReason::fallback);
  entry.evidence[0] = Evidence::granted;
  entry.evidence[1] = Evidence::guess;
  entry.evidence[2] = Evidence::granted;
  entry.best_values[0] = entry.best_values[1] = entry.best_values[2] = 0;
  move_on(entry);
  const std::vector<Candidate> order = {{1, ValueSlot::best},      {1, ValueSlot::minus_one},
                                        {0, ValueSlot::best},      {2, ValueSlot::best},
                                        {0, ValueSlot::minus_one}, {2, ValueSlot::minus_one}};
  for (const Candidate& candidate : order) {
    CHECK(in_use(entry) == candidate);
    add(entry, candidate, 0, 1);
    move_on(entry);
  }
  CHECK_FALSE(any_left(entry));
}

TEST_CASE("until its heals are seen to stick, those further out are ready, those that know first") {
  CatalogEntry entry = entry_with(4, ValueReason::fallback);
  entry.evidence[0] = Evidence::granted;
  entry.evidence[1] = Evidence::guess;
  entry.evidence[2] = Evidence::library;
  entry.evidence[3] = Evidence::granted;
  entry.evidence[4] = Evidence::yes_or_no;
  const auto ready = [&entry] {
    const Escalation found = escalation_of(entry, EscalateFrom::all);
    return std::vector<u8>(found.levels, found.levels + found.count);
  };
  move_on(entry);
  REQUIRE(in_use(entry) == outer);
  CHECK(ready() == std::vector<u8>{4, 3});
  entry.evidence[3] = Evidence::own_error;
  CHECK(ready() == std::vector<u8>{3, 4});
  entry.unfit_levels = 1 << 3;
  CHECK(ready() == std::vector<u8>{4});
  add(entry, {4, ValueSlot::best}, 0, 1);
  CHECK(ready().empty());
  entry.unfit_levels = 0;
  add(entry, outer, 3, 0);
  CHECK(ready() == std::vector<u8>{3});
  add(entry, outer, 1, 0);
  CHECK(ready().empty());
}

TEST_CASE(
    "nothing is kept ready where the user has chosen, or a rehearsal has shown that it heals") {
  CatalogEntry entry = entry_with(2);
  REQUIRE(escalation_of(entry).count == 2);
  entry.level_by_user = 1;
  CHECK(escalation_of(entry).count == 0);
  entry.level_by_user = 0;
  entry.verdicts[0][0] = Verdict::healed;
  CHECK(escalation_of(entry).count == 0);
}

TEST_CASE("who knows how to fail needs nobody kept ready, but where that is asked for") {
  CatalogEntry entry = entry_with(2);
  for (const Evidence sure : {Evidence::own_error, Evidence::asked, Evidence::throws}) {
    entry.evidence[0] = sure;
    CHECK(escalation_of(entry).count == 0);
    CHECK(escalation_of(entry, EscalateFrom::all).count == 2);
  }
  entry.evidence[0] = Evidence::guess;
  CHECK(escalation_of(entry).count == 2);
}

TEST_CASE("what has stuck further out comes before what was not tried") {
  CatalogEntry entry = entry_with(3);
  add(entry, {2, ValueSlot::best}, 1, 0);
  CHECK(choose(entry) == Candidate{2, ValueSlot::best});
  add(entry, guess, 1, 0);
  CHECK(choose(entry) == guess);
  entry.evidence[1] = Evidence::own_error;  // level 0 has stuck where this one was not called
  entry.scores[2][0] = {};
  CHECK(choose(entry) == outer);
}

TEST_CASE("a function whose error is the end of the process fails where nobody further out can") {
  FaultRecord record = deep_fault(2);
  record.evidence[0] = Evidence::outermost;
  CHECK(entry_from(record).level == 0);
  record.evidence[2] = Evidence::own_error;
  CHECK(entry_from(record).level == 2);
  record.evidence[0] = Evidence::nobody;
  record.evidence[2] = Evidence::outermost;
  CHECK(entry_from(record).level == 0);
}

TEST_CASE("what is refused by a check of the stack has no levels, until the engine takes over") {
  FaultRecord record = deep_fault(2);
  record.fault.kind = FaultKind::stack_exhaustion;
  record.detail.stride = 4096;
  record.evidence[0] = Evidence::nobody;
  record.evidence[1] = Evidence::own_error;
  CatalogEntry entry = entry_from(record);
  REQUIRE(has_remedy(entry.remedies, Remedy::stack_check));
  CHECK(in_use(entry) == guess);
  CHECK_FALSE(usable(entry, outer));
  record.time_ns = 20;
  record.remedies = entry.remedies;  // the check was made, and did not help
  CHECK(count_fault(record, entry) == FaultCounted::policy_changed);
  CHECK_FALSE(has_remedy(entry.remedies, Remedy::stack_check));
  CHECK(in_use(entry) == outer);
}

TEST_CASE("where a bad free is left out nobody fails") {
  FaultRecord record = deep_fault(2);
  record.fault.kind = FaultKind::bad_free;
  record.evidence[1] = Evidence::own_error;
  CHECK(in_use(entry_from(record)) == guess);
}

TEST_CASE("what is known of functions on another stack is forgotten, and new knowledge counts") {
  FaultRecord record = deep_fault(3);
  record.evidence[0] = Evidence::granted;
  record.evidence[3] = Evidence::asked;
  CatalogEntry entry = entry_from(record);
  CHECK(entry.level == 3);
  FaultRecord other = deep_fault(3, 20);
  other.frames[4].offset += 0x40;
  count_fault(other, entry);
  CHECK(entry.evidence[0] == Evidence::granted);
  CHECK(entry.evidence[3] == Evidence::unknown);
  CHECK(entry.level == 0);
  other.time_ns = 30;
  other.evidence[2] = Evidence::own_error;
  CHECK(count_fault(other, entry) == FaultCounted::policy_changed);
  CHECK(entry.level == 2);
}

TEST_CASE("what cannot be a rescue point is passed over") {
  CatalogEntry entry = entry_with(2);
  entry.unfit_levels = 1 << 1;
  add(entry, guess, 0, 1);
  CHECK(choose(entry) == Candidate{2, ValueSlot::best});
}

TEST_CASE("verified candidates come first, and those that failed there are out") {
  CatalogEntry entry = entry_with(2);
  entry.verdicts[0][0] = Verdict::wrong;
  CHECK(choose(entry) == outer);
  entry.verdicts[2][0] = Verdict::healed;
  CHECK(choose(entry) == Candidate{2, ValueSlot::best});
  add(entry, {2, ValueSlot::best}, 0, 1);
  CHECK(choose(entry) == outer);
}

TEST_CASE("the user's word stays") {
  CatalogEntry entry = entry_with(2);
  entry.level = 2;
  entry.level_by_user = 1;
  add(entry, {2, ValueSlot::best}, 0, 50);
  CHECK_FALSE(move_on(entry));
  CHECK(entry.level == 2);
  CatalogEntry valued = entry_with(2);
  valued.value_set = 1;
  add(valued, guess, 0, 50);
  CHECK_FALSE(move_on(valued));
}

TEST_CASE("scores are halved before they overflow, and keep their proportions") {
  CatalogEntry entry = entry_with(1);
  add(entry, guess, ~u64{0}, 1);
  CHECK(score_of(entry, guess).stuck > 0x7000);
  for (int i = 0; i < 100; ++i) {
    add(entry, guess, 30'000, 10'000);
  }
  const Score& score = score_of(entry, guess);
  CHECK(tries_of(score) <= 0xffff);
  CHECK(score.again > score.stuck / 4);
  CHECK(score.again < score.stuck / 2);
}

TEST_CASE("another stack begins anew from where it differs") {
  CatalogEntry entry = entry_with(3);
  for (u8 level = 0; level < 4; ++level) {
    add(entry, {level, ValueSlot::best}, 0, 1);
  }
  entry.level = 2;
  FaultRecord other = deep_fault(3, 20);
  other.frames[4].offset += 0x40;  // level 2 was called elsewhere
  count_fault(other, entry);
  CHECK(tries_of(score_of(entry, outer)) == 1);
  CHECK(tries_of(score_of(entry, {2, ValueSlot::best})) == 0);
  CHECK(tries_of(score_of(entry, {3, ValueSlot::best})) == 0);
  CHECK(in_use(entry) == Candidate{2, ValueSlot::best});
}

TEST_CASE("the same stack again changes nothing") {
  CatalogEntry entry = entry_with(3);
  add(entry, guess, 0, 1);
  move_on(entry);
  const CatalogEntry before = entry;
  CHECK(count_fault(deep_fault(3, 20), entry) == FaultCounted::counted);
  CHECK(in_use(entry) == in_use(before));
  CHECK(memcmp(entry.scores, before.scores, sizeof entry.scores) == 0);
}

TEST_CASE("random entries: the choice is the rule's, among those there are; damage is repaired") {
  const u64 seed = realtime_now();
  CAPTURE(seed);
  selfheal::test::Random random(seed);
  for (int i = 0; i < 20'000; ++i) {
    CatalogEntry entry = entry_with(static_cast<unsigned>(random.below(12)));
    for (u32 level = 0; level < max_levels; ++level) {
      entry.best_reasons[level] = static_cast<ValueReason>(random.below(12));
      entry.best_values[level] = random.below(3) - 1;
      entry.evidence[level] = static_cast<Evidence>(random.below(12));
      for (u32 slot = 0; slot < values_a_level; ++slot) {
        entry.scores[level][slot] = {
            static_cast<u16>(random.below(12) == 0 ? random.below(0x8000) : random.below(4)),
            static_cast<u16>(random.below(3)), static_cast<u16>(random.below(3)), 0};
        entry.verdicts[level][slot] =
            random.below(6) == 0 ? static_cast<Verdict>(random.below(9)) : Verdict::none;
      }
    }
    entry.remedies = static_cast<u8>(random.below(4) == 0 ? random.below(256) : 0);
    entry.unfit_levels = static_cast<u8>(random.below(4) == 0 ? random.below(256) : 0);
    entry.level = static_cast<u8>(random.below(16));
    entry.value_slot = static_cast<u8>(random.below(16));
    entry.level_frames |= static_cast<u32>(random.below(3) == 0 ? random.below(~u32{0}) : 0);
    sanitize(entry);
    REQUIRE(in_range(in_use(entry)));
    REQUIRE(entry.level < level_count(entry));
    for (u32 level = 1; level < level_count(entry); ++level) {
      const u32 frame = frame_of_level(entry, level);
      REQUIRE((frame > entry.blamed_frame && frame < entry.frame_count));
      REQUIRE(entry.frames[frame].module < entry.module_count);
    }
    const Candidate choice = choose(entry);
    REQUIRE(usable(entry, choice));
    REQUIRE(choice == chosen_the_long_way(entry));
  }
}

TEST_CASE("one word says which region's candidate it is") {
  const Candidate candidate{7, ValueSlot::minus_one};
  const u64 key = candidate_key(0xfedc'ba98'7654, candidate);
  CHECK(id_of_key(key) == 0xfedc'ba98'7654);
  CHECK(candidate_of_key(key) == candidate);
}
