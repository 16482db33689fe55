#include "lib/store/levels.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "lib/store/remedies.h"

namespace selfheal::store {
namespace {

constexpr ValueSlot slots[values_a_level] = {ValueSlot::best, ValueSlot::zero,
                                             ValueSlot::minus_one};

// Whether other values than the best make sense where it was chosen for this reason. Where the
// caller tells failure by the sign, say, 0 would be success.
bool was_a_guess(ValueReason reason) {
  switch (reason) {
    case ValueReason::fallback:
    case ValueReason::caller_tests_int:
    case ValueReason::other_callers:
      return true;
    default:
      return false;
  }
}

// The same to a caller that looks at an int.
bool same_int(u64 a, u64 b) {
  return static_cast<u32>(a) == static_cast<u32>(b);
}

// Heals that stuck and left nothing behind.
u32 clean(const Score& score) {
  return score.stuck - std::min(score.stuck, score.left_open);
}

// Takes two, and more than what the clean heals make up for.
bool outweighs(u32 against, const Score& score) {
  return against >= 2 && 2 * against > clean(score);
}

// A fault in the same thread is proof; a process that is gone may have been ended by its operator,
// and a connection may be looked after later, so that takes two. And a candidate that sticks four
// times in five is not given up.
bool speaks_against(const Score& score) {
  return outweighs(2U * score.again + score.died + score.left_open, score);
}

// The function's callers go on, whatever it returns, and nobody closes the connection.
bool leaves_connections(const CatalogEntry& entry, u32 level) {
  return std::any_of(std::begin(entry.scores[level]), std::end(entry.scores[level]),
                     [](const Score& score) { return outweighs(score.left_open, score); });
}

// Of two that have failed: which sticks more often? As if each had been tried twice more, and stuck
// once (Laplace's rule of succession).
bool sticks_more(const Score& a, const Score& b) {
  return (clean(a) + 1U) * (tries_of(b) + 2U) > (clean(b) + 1U) * (tries_of(a) + 2U);
}

// Those that know how to fail are tried first; then those that might; then those whose callers use
// what they return unchecked, so that the next fault is likely to be there, and those that nobody
// has looked at; last those whose answer goes to no caller of the application's that could make
// something of it, and other values for who does not look.
enum class Rank : u8 { knows, may, unlikely, cannot };

// Whether a function further out than the caller is better than the faulting one. Not where
// somebody looks at what that returns, and only the meaning is left open: more is rolled back, and
// more refused, than need be. What was seen to fail is no matter of how far it is.
bool is_too_far(const CatalogEntry& entry, u32 level) {
  const Evidence own = entry.evidence[0];
  return level > 1 && entry.evidence[level] != Evidence::learned &&
         (own == Evidence::yes_or_no || own == Evidence::guess);
}

Rank rank_of(const CatalogEntry& entry, Candidate candidate) {
  const Evidence evidence = entry.evidence[candidate.level];
  if (can_fail(evidence) && !is_too_far(entry, candidate.level)) {
    return Rank::knows;
  }
  if (evidence == Evidence::granted) {
    return candidate.slot == ValueSlot::best ? Rank::unlikely : Rank::cannot;
  }
  if (evidence == Evidence::unknown) {
    return Rank::unlikely;
  }
  const bool ends = candidate.level != 0 && evidence == Evidence::outermost;
  return evidence == Evidence::library || ends ? Rank::cannot : Rank::may;
}

// In the order in which they are tried.
template <typename Visit>
void for_each_candidate(const CatalogEntry& entry, Visit visit) {
  const u32 levels = level_count(entry);
  for (const Rank rank : {Rank::knows, Rank::may, Rank::unlikely, Rank::cannot}) {
    for (u8 level = 0; level < levels; ++level) {
      for (const ValueSlot slot : slots) {
        const Candidate candidate{level, slot};
        if (rank_of(entry, candidate) == rank && usable(entry, candidate) && visit(candidate)) {
          return;
        }
      }
    }
  }
}

template <typename Good>
bool find_first(const CatalogEntry& entry, Good good, Candidate& found) {
  bool any = false;
  for_each_candidate(entry, [&](Candidate candidate) {
    found = candidate;
    any = good(candidate);
    return any;
  });
  return any;
}

Candidate most_sticking(const CatalogEntry& entry) {
  Candidate most{};
  bool any = false;
  for_each_candidate(entry, [&](Candidate candidate) {
    if (!any || sticks_more(score_of(entry, candidate), score_of(entry, most))) {
      most = candidate;
    }
    any = true;
    return false;
  });
  return most;
}

bool is_users(const CatalogEntry& entry) {
  return entry.level_by_user != 0 || entry.value_set != 0;
}

bool is_settled(const CatalogEntry& entry, Candidate candidate) {
  constexpr u32 enough = 4;
  return !failed(entry, candidate) && (verdict_of(entry, candidate) == Verdict::healed ||
                                       clean(score_of(entry, candidate)) >= enough);
}

// A check of the stack refuses at the region's own entry, and a remedy of the allocator's at a call
// of malloc or free: nobody further out is rolled back for that.
bool fails_itself(const CatalogEntry& entry) {
  return has_remedy(entry.remedies, Remedy::stack_check) || !needs_engine(entry);
}

void add_to(u16& count, u64 more, u32& overflow) {
  const u64 sum = count + (more < 0xffff ? more : 0xffff);
  overflow |= sum > 0x7fff ? 1U : 0U;
  count = static_cast<u16>(sum < 0xffff ? sum : 0xffff);
}

}  // namespace

u64 value_of(const CatalogEntry& entry, Candidate candidate) {
  switch (candidate.slot) {
    case ValueSlot::zero:
      return 0;
    case ValueSlot::minus_one:
      return ~u64{0};
    case ValueSlot::best:
      break;
  }
  return entry.best_values[candidate.level];
}

bool usable(const CatalogEntry& entry, Candidate candidate) {
  const u32 level = candidate.level;
  if (level >= level_count(entry) || static_cast<u8>(candidate.slot) >= values_a_level ||
      (entry.unfit_levels >> level & 1) != 0 || (level != 0 && fails_itself(entry))) {
    return false;
  }
  return candidate.slot == ValueSlot::best ||
         (was_a_guess(entry.best_reasons[level]) &&
          !same_int(value_of(entry, candidate), entry.best_values[level]));
}

bool failed(const CatalogEntry& entry, Candidate candidate) {
  const Verdict verdict = verdict_of(entry, candidate);
  return (verdict != Verdict::none && verdict != Verdict::healed) ||
         speaks_against(score_of(entry, candidate)) || leaves_connections(entry, candidate.level);
}

Candidate choose(const CatalogEntry& entry) {
  if (is_users(entry)) {
    return in_use(entry);
  }
  const auto works = [&](Candidate candidate) { return !failed(entry, candidate); };
  const auto tested = [&](Candidate candidate) {
    return works(candidate) && verdict_of(entry, candidate) == Verdict::healed;
  };
  Candidate found{};
  if (find_first(entry, tested, found)) {
    return found;
  }
  if (!find_first(entry, works, found)) {
    return most_sticking(entry);
  }
  const auto stuck_further_out = [&](Candidate candidate) {
    return candidate.level > found.level && works(candidate) &&
           clean(score_of(entry, candidate)) != 0;
  };
  Candidate proved{};
  const bool untried = tries_of(score_of(entry, found)) == 0;
  return untried && find_first(entry, stuck_further_out, proved) ? proved : found;
}

Escalation escalation_of(const CatalogEntry& entry, EscalateFrom from) {
  Escalation escalation{};
  const Candidate now = in_use(entry);
  const bool sure = rank_of(entry, now) == Rank::knows;
  if (is_users(entry) || is_settled(entry, now) || (sure && from == EscalateFrom::unsure)) {
    return escalation;
  }
  for_each_candidate(entry, [&](Candidate candidate) {
    if (candidate.level > now.level && candidate.slot == ValueSlot::best &&
        rank_of(entry, candidate) != Rank::cannot && !failed(entry, candidate)) {
      escalation.levels[escalation.count++] = candidate.level;
    }
    return false;
  });
  return escalation;
}

bool move_on(CatalogEntry& entry) {
  const Candidate next = choose(entry);
  if (next == in_use(entry)) {
    return false;
  }
  entry.level = next.level;
  entry.value_slot = static_cast<u8>(next.slot);
  return true;
}

bool any_left(const CatalogEntry& entry) {
  Candidate found{};
  return find_first(
      entry, [&](Candidate candidate) { return !failed(entry, candidate); }, found);
}

bool nothing_helps(const CatalogEntry& entry) {
  return !is_users(entry) && !any_left(entry);
}

void add_tally(CatalogEntry& entry, Candidate candidate, const Tally& tally) {
  if (!in_range(candidate)) {
    return;
  }
  Score& score = score_of(entry, candidate);
  u32 overflow = 0;
  add_to(score.stuck, tally.stuck, overflow);
  add_to(score.again, tally.again, overflow);
  add_to(score.died, tally.died, overflow);
  add_to(score.left_open, tally.left_open, overflow);
  if (overflow != 0) {
    score.stuck /= 2;
    score.again /= 2;
    score.died /= 2;
    score.left_open /= 2;
  }
  const ValueReason reason = tally.reason <= static_cast<u64>(last_value_reason)
                                 ? static_cast<ValueReason>(tally.reason)
                                 : ValueReason::none;
  if (candidate.slot == ValueSlot::best && reason != ValueReason::none &&
      reason != ValueReason::policy) {
    entry.best_values[candidate.level] = tally.value;
    entry.best_reasons[candidate.level] = reason;
  }
}

const char* name_of(ValueSlot slot) {
  switch (slot) {
    case ValueSlot::best:
      return "auto";
    case ValueSlot::zero:
      return "0";
    case ValueSlot::minus_one:
      return "-1";
  }
  return "unknown";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::none:
      return "untested";
    case Verdict::healed:
      return "healed";
    case Verdict::wrong:
      return "wrong";
    case Verdict::crashed:
      return "crashed";
    case Verdict::hung:
      return "hung";
    case Verdict::leaked:
      return "leaked";
  }
  return "unknown";
}

}  // namespace selfheal::store
