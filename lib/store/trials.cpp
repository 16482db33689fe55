// The recording side: loads, stores and locked instructions in bounded loops (see journal_record).
#include "lib/store/trials.h"

#include "lib/store/shared.h"

namespace selfheal::store {
namespace {

constexpr u32 probes = 32;

u64 mixed(u64 value) {  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4): the high bits are good
  return (value * 0x9e37'79b9'7f4a'7c15) >> 32;
}

u64 trial_word(TrialState state, u32 pid, u64 time_ns) {
  return slot_word(static_cast<SlotState>(state), pid, time_ns);
}

bool in_state(u64 word, TrialState state) {
  return is_state(word, static_cast<SlotState>(state));
}

u64 in_new_state(u64 word, TrialState state) {
  return with_state(word, static_cast<SlotState>(state));
}

Tally* tally_of(const Journal& journal, u64 candidate) {
  Tally* const table = journal.tallies();
  const u64 start = mixed(candidate);
  for (u32 i = 0; table != nullptr && i < probes; ++i) {
    Tally& tally = table[(start + i) % tally_count];
    if (load(tally.candidate) == candidate || swap_if(tally.candidate, 0, candidate) ||
        load(tally.candidate) == candidate) {
      return &tally;
    }
  }
  return nullptr;
}

void count(const Journal& journal, const Trial& trial, u64 Tally::*which) {
  Tally* const tally = tally_of(journal, load(trial.candidate));
  if (tally == nullptr) {
    return;
  }
  add(tally->*which, 1);
  __atomic_store_n(&tally->value, trial.value, __ATOMIC_RELAXED);
  __atomic_store_n(&tally->reason, trial.reason, __ATOMIC_RELAXED);
  if (which != &Tally::stuck) {
    journal.count_remark();
  }
}

// What was seen elsewhere than at a heal's end.
void count_without_trial(const Journal& journal, u64 candidate, u64 Tally::*which) {
  if (Tally* const tally = tally_of(journal, candidate); tally != nullptr) {
    add(tally->*which, 1);
    journal.count_remark();
  }
}

// The thread's own cell, if nobody has taken it.
Trial* own_cell(const Journal& journal, const TrialTicket& ticket) {
  Trial* const table = journal.trials();
  if (table == nullptr || ticket.word == 0 || load(table[ticket.index].word) != ticket.word) {
    return nullptr;
  }
  return &table[ticket.index];
}

Trial* take_cell(const Journal& journal, const TrialStart& start, u64 word, TrialTicket& ticket) {
  Trial* const table = journal.trials();
  if (Trial* own = own_cell(journal, ticket);
      own != nullptr && swap_if(own->word, ticket.word, word)) {
    return own;
  }
  const u64 from = mixed(start.pid + address_of(&ticket));
  for (u32 i = 0; table != nullptr && i < trial_count; ++i) {
    const u32 index = static_cast<u32>((from + i) % trial_count);
    if (load(table[index].word) == 0 && swap_if(table[index].word, 0, word)) {
      ticket.index = index;
      return &table[index];
    }
  }
  return nullptr;
}

template <typename Visit>
void for_each_of(const Journal& journal, u32 pid, Visit visit) {
  Trial* const table = journal.trials();
  for (u32 i = 0; table != nullptr && i < trial_count; ++i) {
    const u64 word = load(table[i].word);
    if (word != 0 && pid_of(word) == pid_of(trial_word(TrialState::free, pid, 0))) {
      visit(table[i], word);
    }
  }
}

}  // namespace

void begin_trial(const Journal& journal, const TrialStart& start, TrialTicket& ticket) {
  const u64 word = trial_word(TrialState::reserved, start.pid, start.time_ns);
  Trial* const cell = take_cell(journal, start, word, ticket);
  ticket.word = 0;
  if (cell == nullptr) {
    return;
  }
  __atomic_store_n(&cell->candidate, start.candidate, __ATOMIC_RELAXED);
  cell->time_ns = start.time_ns;
  cell->value = start.value;
  cell->reason = start.reason;
  const u64 pending = in_new_state(word, TrialState::pending);
  if (swap_if(cell->word, word, pending)) {
    ticket.word = pending;
    ticket.candidate = start.candidate;
  }
}

bool is_pending(const TrialTicket& ticket) {
  return in_state(ticket.word, TrialState::pending);
}

void end_trial(const Journal& journal, TrialTicket& ticket, TrialEnd end) {
  Trial* const cell = own_cell(journal, ticket);
  if (cell == nullptr || !is_pending(ticket)) {
    return;
  }
  switch (end) {
    case TrialEnd::stuck:
      count(journal, *cell, &Tally::stuck);
      break;
    case TrialEnd::again:
      count(journal, *cell, &Tally::again);
      break;
    case TrialEnd::died:
      count(journal, *cell, &Tally::died);
      break;
    case TrialEnd::dropped:
      break;
  }
  const u64 after = in_new_state(ticket.word, TrialState::watching);
  if (end == TrialEnd::stuck && swap_if(cell->word, ticket.word, after)) {
    ticket.word = after;
    return;
  }
  swap_if(cell->word, ticket.word, 0);
  ticket.word = 0;
}

void count_left_open(const Journal& journal, u64 candidate) {
  count_without_trial(journal, candidate, &Tally::left_open);
}

void count_again(const Journal& journal, u64 candidate) {
  count_without_trial(journal, candidate, &Tally::again);
}

void release_trial(const Journal& journal, TrialTicket& ticket) {
  end_trial(journal, ticket, TrialEnd::stuck);
  if (Trial* const cell = own_cell(journal, ticket); cell != nullptr) {
    swap_if(cell->word, ticket.word, 0);
  }
  ticket.word = 0;
}

void end_trials_by_fault(const Journal& journal, u32 pid, u64 now_ns, TrialTicket& own) {
  const bool explained = is_pending(own);
  end_trial(journal, own, TrialEnd::again);
  for_each_of(journal, pid, [&](Trial& cell, u64 word) {
    const bool soon = !explained && now_ns - cell.time_ns < soon_ns;
    if (swap_if(cell.word, word, 0) && soon && !in_state(word, TrialState::reserved)) {
      count(journal, cell, &Tally::died);
    }
  });
  own.word = 0;
}

void release_trials(const Journal& journal, u32 pid) {
  for_each_of(journal, pid, [](Trial& cell, u64 word) { swap_if(cell.word, word, 0); });
}

}  // namespace selfheal::store
