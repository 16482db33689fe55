// Which function is rolled back when a region faults, and what it returns: the candidates, their
// scores, and the choice among them (ASSURE, Sidiroglou et al., ASPLOS 2009: rescue points, tried
// out one after the other).
//
//   stack at the fault                     candidates, in the order they are tried, where nothing
//                                          is known of how these functions fail
//   parse_number  ◄ faults, blamed         level 0   best guess, 0, -1
//   parse_list                             level 1   best guess, 0, -1
//   qsort         (a system library)           no level
//   handle                                 level 2   best guess, 0, -1
//   serve         (the service loop)           no level
//   main          (nobody to return to)        no level
//
// Levels whose functions are known to say no (CatalogEntry::evidence) come before the others, and
// those that a system library called behind them; but where somebody looks at what the faulting
// function returns, only its caller: docs/levels.md.
//
// The first candidate is in use until there is evidence against it: a heal does not *stick* when
// the thread faults again before its next progress point, or the process ends. Then it is the next
// one's turn. So it is when heals leave clients' connections open for ever, and then no other value
// helps: the functions on the way do not hand the failure on to who would close it, so that one
// further out has to be undone, in the end all that began with the request. Other values are tried
// only where the best guess was no more than a guess: a function that is known to fail by returning
// NULL is not made to return anything else. A level whose function cannot be a rescue point
// (unfit_levels) is passed over. What has stuck before, further out, comes before what was never
// tried; what the user chose, and what `selfheal verify` saw, before all that.
//
// As long as the candidate in use has not stuck a few times, those further out are kept ready, so
// that its failure need not be the end of the process: the heal *escalates*.
//
// Pure functions on a sanitized entry; any thread.
#pragma once

#include "lib/store/format.h"

namespace selfheal::store {

// Which of a level's values.
enum class ValueSlot : u8 { best = 0, zero = 1, minus_one = 2 };

struct Candidate {
  u8 level;
  ValueSlot slot;
  bool operator==(const Candidate&) const = default;
};

// One word for a region's candidate, never 0: catalog id : 48 | level : 4 | slot : 4 from the top.
constexpr u64 candidate_key(u64 id, Candidate candidate) {
  return u64{candidate.level} << 60 | u64{static_cast<u8>(candidate.slot)} << 56 |
         (id & 0xffff'ffff'ffff);
}
constexpr u64 id_of_key(u64 key) {
  return key & 0xffff'ffff'ffff;
}
constexpr Candidate candidate_of_key(u64 key) {
  return {static_cast<u8>(key >> 60), static_cast<ValueSlot>(key >> 56 & 0xf)};
}

// The region itself and the levels outwards; at least 1.
u32 level_count(const CatalogEntry& entry);

// Index in entry.frames of that level's return address; level_count() levels have one.
u32 frame_of_level(const CatalogEntry& entry, u32 level);

// What `slot` stands for at `level`; for the best value, as far as it is known.
u64 value_of(const CatalogEntry& entry, Candidate candidate);

// Is it one of the region's candidates at all?
bool usable(const CatalogEntry& entry, Candidate candidate);

// Is there more that speaks against it than for it?
bool failed(const CatalogEntry& entry, Candidate candidate);

// The candidate to use from now on.
Candidate choose(const CatalogEntry& entry);
constexpr Candidate in_use(const CatalogEntry& entry) {
  return {entry.level, static_cast<ValueSlot>(entry.value_slot)};
}
// Puts it in use. True: it was another one before.
bool move_on(CatalogEntry& entry);

// The levels further out that a heal may escalate to, in the order in which they are tried; none
// where the candidate in use has proved good; nor, but from all, where it is known to know how to
// fail.
enum class EscalateFrom : u8 { unsure, all };
struct Escalation {
  u8 count;
  u8 levels[max_levels];
  bool operator==(const Escalation&) const = default;
};
Escalation escalation_of(const CatalogEntry& entry, EscalateFrom from = EscalateFrom::unsure);

// Is there a candidate that has not failed yet?
bool any_left(const CatalogEntry& entry);
// None, and the user has not said that this one be used all the same.
bool nothing_helps(const CatalogEntry& entry);

inline Score& score_of(CatalogEntry& entry, Candidate candidate) {
  return entry.scores[candidate.level][static_cast<u8>(candidate.slot)];
}
inline const Score& score_of(const CatalogEntry& entry, Candidate candidate) {
  return entry.scores[candidate.level][static_cast<u8>(candidate.slot)];
}
inline Verdict& verdict_of(CatalogEntry& entry, Candidate candidate) {
  return entry.verdicts[candidate.level][static_cast<u8>(candidate.slot)];
}
inline Verdict verdict_of(const CatalogEntry& entry, Candidate candidate) {
  return entry.verdicts[candidate.level][static_cast<u8>(candidate.slot)];
}
constexpr u32 tries_of(const Score& score) {
  return u32{score.stuck} + score.again + score.died;
}
constexpr bool in_range(Candidate candidate) {
  return candidate.level < max_levels && static_cast<u8>(candidate.slot) < values_a_level;
}

// Adds what the promoter collected.
void add_tally(CatalogEntry& entry, Candidate candidate, const Tally& tally);

// `record` is about to become the entry's last fault: scores of levels whose functions are on
// another stack now are forgotten.
void follow_stack(const FaultRecord& record, CatalogEntry& entry);

const char* name_of(ValueSlot slot);
const char* name_of(Verdict verdict);

}  // namespace selfheal::store
