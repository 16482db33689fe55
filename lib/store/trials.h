// Does a heal stick? Kept in the journal's mapping, so a worker that may not open a file, or is
// killed at once, gives evidence all the same.
//
//   heal ──► Trial: pending ──── progress point ────► watching ──── exit, 5 s ───► free
//               │                 (tally: stuck)         │
//               ├─ faults again: tally again             └─ process faults within 5 s: tally died
//               └─ process gone: the promoter
//                  tallies died
//
//   Tally (one a candidate) ──── promoter ────► CatalogEntry::scores ──► levels.h chooses
//
// A cell of `Trial` belongs to a thread from its first heal to its end; in a dead process, to the
// promoter. Nothing in here is trusted: a hostile worker can spoil a candidate's score, as it also
// could by dying.
//
// No system call, no lock, no allocation; any thread, signal handlers included. The collector's
// part is in trials_collect.cpp.
#pragma once

#include "lib/base/types.h"
#include "lib/store/journal.h"

namespace selfheal::store {

inline constexpr u64 soon_ns = 5'000'000'000;

// A thread's cell; word 0: it has none.
struct TrialTicket {
  u32 index;
  u64 word;
  u64 candidate;
};

struct TrialStart {
  u64 candidate;
  u64 time_ns;
  u64 value;  // what the caller got, and why
  u64 reason;
  u32 pid;
};

enum class TrialEnd : u8 {
  stuck,    // a progress point: watched from now on
  again,    // a fault
  died,     // the process was gone
  dropped,  // says nothing
};

// A heal: takes the thread's own cell again, or a free one. What was pending in it is dropped.
void begin_trial(const Journal& journal, const TrialStart& start, TrialTicket& ticket);
bool is_pending(const TrialTicket& ticket);
void end_trial(const Journal& journal, TrialTicket& ticket, TrialEnd end);

// A connection that was in use when the candidate healed was closed by its client, and by nobody
// here: the heal stuck, but at that price.
void count_left_open(const Journal& journal, u64 candidate);

// The candidate is no good, though it was not tried.
void count_again(const Journal& journal, u64 candidate);

// The thread ends well: its cell is free.
void release_trial(const Journal& journal, TrialTicket& ticket);

// The process `pid` is about to die of a fault. `own`, the faulting thread's, says `again` if it
// was pending, and that is why; else what was healed less than soon_ns ago is held against it.
void end_trials_by_fault(const Journal& journal, u32 pid, u64 now_ns, TrialTicket& own);
// It ends in good order.
void release_trials(const Journal& journal, u32 pid);

// The promoter's: tallies what dead processes left pending, and frees their cells.
void bury_trials(const Journal& journal);
// Is there anything to collect?
bool any_tally(const Journal& journal);
// Takes the counts of cell `index` < tally_count. False: there are none.
bool collect_tally(const Journal& journal, u32 index, Tally& tally);

// Anybody's: `entry` as it would be if the promoter had collected what is there.
void add_tallies(const Journal& journal, CatalogEntry& entry);

}  // namespace selfheal::store
