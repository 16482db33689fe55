// The promoter's side of trials.h.
#include "lib/store/levels.h"
#include "lib/store/shared.h"
#include "lib/store/standing.h"
#include "lib/store/trials.h"

namespace selfheal::store {
namespace {

bool was_pending(u64 word) {
  return is_state(word, static_cast<SlotState>(TrialState::pending));
}

}  // namespace

// The count goes through a ticket, as the dead thread would have made it.
void bury_trials(const Journal& journal) {
  Trial* const table = journal.trials();
  for (u32 i = 0; table != nullptr && i < trial_count; ++i) {
    const u64 word = load(table[i].word);
    if (word == 0 || !process_gone(pid_of(word), table[i].time_ns)) {
      continue;
    }
    TrialTicket ticket{i, word, 0};
    if (was_pending(word)) {
      end_trial(journal, ticket, TrialEnd::died);
    } else {
      swap_if(table[i].word, word, 0);
    }
  }
}

bool any_tally(const Journal& journal) {
  Tally* const table = journal.tallies();
  for (u32 i = 0; table != nullptr && i < tally_count; ++i) {
    const Tally& tally = table[i];
    if ((load(tally.stuck) | load(tally.again) | load(tally.died) | load(tally.left_open)) != 0) {
      return true;
    }
  }
  return false;
}

// The cell is free for another candidate then: a count that comes in between goes to the wrong one,
// once.
bool collect_tally(const Journal& journal, u32 index, Tally& tally) {
  Tally* const table = journal.tallies();
  if (table == nullptr || load(table[index].candidate) == 0) {
    return false;
  }
  Tally& cell = table[index];
  tally = {};
  tally.candidate = load(cell.candidate);
  tally.stuck = __atomic_exchange_n(&cell.stuck, 0, __ATOMIC_ACQ_REL);
  tally.again = __atomic_exchange_n(&cell.again, 0, __ATOMIC_ACQ_REL);
  tally.died = __atomic_exchange_n(&cell.died, 0, __ATOMIC_ACQ_REL);
  tally.left_open = __atomic_exchange_n(&cell.left_open, 0, __ATOMIC_ACQ_REL);
  tally.value = load(cell.value);
  tally.reason = load(cell.reason);
  swap_if(cell.candidate, tally.candidate, 0);
  return (tally.stuck | tally.again | tally.died | tally.left_open) != 0;
}

void add_tallies(const Journal& journal, CatalogEntry& entry) {
  const Tally* const table = journal.tallies();
  for (u32 i = 0; table != nullptr && i < tally_count; ++i) {
    const Tally& cell = table[i];
    const u64 candidate = load(cell.candidate);
    if (candidate != 0 && id_of_key(candidate) == entry.id) {
      add_tally(entry, candidate_of_key(candidate),
                {candidate, load(cell.stuck), load(cell.again), load(cell.died), load(cell.value),
                 load(cell.reason), load(cell.left_open), 0});
    }
  }
}

}  // namespace selfheal::store
