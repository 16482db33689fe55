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
// has looked at; last those whose answer
// goes to no caller of the application's that could make something of it, and other values for who
// does not look.
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

// Same function call? Offsets are from load biases, so a module's id tells the code.
bool same_place(const CodeRef& a, const RecordModule* a_modules, const CodeRef& b,
                const RecordModule* b_modules) {
  return a.offset == b.offset && a.module != no_module && b.module != no_module &&
         a_modules[a.module].id == b_modules[b.module].id;
}

void forget_level(CatalogEntry& entry, u32 level) {
  for (u32 slot = 0; slot < values_a_level; ++slot) {
    entry.scores[level][slot] = {};
    entry.verdicts[level][slot] = Verdict::none;
  }
  entry.best_values[level] = 0;
  entry.best_reasons[level] = ValueReason::none;
  entry.evidence[level] = Evidence::unknown;
  entry.unfit_levels &= static_cast<u8>(~(1U << level));
}

u32 frame_of(u32 level_frames, u32 blamed, u32 level) {
  u32 left = level_frames;
  for (u32 i = 1; i < level; ++i) {
    left &= left - 1;
  }
  return level == 0 || left == 0 ? blamed : static_cast<u32>(__builtin_ctz(left));
}

}  // namespace

u32 level_count(const CatalogEntry& entry) {
  const u32 outer = static_cast<u32>(__builtin_popcount(entry.level_frames));
  return 1 + (outer < max_levels - 1 ? outer : max_levels - 1);
}

u32 frame_of_level(const CatalogEntry& entry, u32 level) {
  return frame_of(entry.level_frames, entry.blamed_frame, level);
}

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
  if (entry.level_by_user != 0 || entry.value_set != 0) {
    return in_use(entry);
  }
  Candidate tested{};
  Candidate untried{};
  Candidate best{};
  bool any = false;
  bool any_tested = false;
  bool any_untried = false;
  for_each_candidate(entry, [&](Candidate candidate) {
    best = any ? best : candidate;
    any = true;
    const bool bad = failed(entry, candidate);
    if (!bad && !any_tested && verdict_of(entry, candidate) == Verdict::healed) {
      tested = candidate;
      any_tested = true;
    }
    if (!bad && !any_untried) {
      untried = candidate;
      any_untried = true;
    }
    if (sticks_more(score_of(entry, candidate), score_of(entry, best))) {
      best = candidate;
    }
    return any_tested;
  });
  return any_tested ? tested : any_untried ? untried : best;
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
  bool any = false;
  for_each_candidate(entry, [&](Candidate candidate) {
    any = !failed(entry, candidate);
    return any;
  });
  return any;
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

void follow_stack(const FaultRecord& record, CatalogEntry& entry) {
  CatalogEntry next = {};
  next.level_frames = record.level_frames;
  const u32 old_levels = level_count(entry);
  const u32 new_levels = level_count(next);
  u32 level = 1;
  while (level < old_levels && level < new_levels &&
         same_place(entry.frames[frame_of_level(entry, level)], entry.modules,
                    record.frames[frame_of(record.level_frames, record.blamed_frame, level)],
                    record.modules)) {
    ++level;
  }
  for (u32 gone = level; gone < max_levels; ++gone) {
    forget_level(entry, gone);
  }
  entry.level_frames = record.level_frames;
  for (u32 known = 0; known < new_levels; ++known) {
    if (record.evidence[known] != Evidence::unknown) {
      entry.evidence[known] = record.evidence[known];
    }
  }
  if (entry.level >= level && entry.level_by_user == 0) {
    entry.level = 0;
    entry.value_slot = 0;
  }
  if (entry.level >= new_levels) {
    entry.level = 0;
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
