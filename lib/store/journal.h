// The journal: faults and heals written down with plain stores to a shared mapping, so that they
// survive the process, its sandbox and its closed descriptors. See format.h for the picture.
//
//   word:   free ──cas──► reserved(pid, second) ──payload, checksum──► sealed(pid, second) ──► free
//                              │                                            promoter, by cas
//                              └── its process died here: torn; readers skip it, the promoter frees
//                              it
//
// Recording: no system call, no lock, no allocation, no libc, no vector register; any thread,
// signal handlers and the engine's side included, any number of processes at once. Reading: any
// thread; all that is read is checked by checksum and sanitized, but its *content* is whatever a
// worker wrote.
#pragma once

#include "lib/base/record.h"
#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/format.h"

namespace selfheal::store {

enum class Recorded : u8 {
  yes,
  full,        // dropped and counted; what is there is kept
  not_mapped,  // there is no journal, or it is mapped read-only
};

enum class SlotView : u8 {
  free,
  busy,     // being written now by a live process
  torn,     // reserved by a process that is gone
  damaged,  // sealed, but its checksum or its word is wrong
  fault,
  heal,
};

// Where a record went, for take_back().
struct Ticket {
  u32 index;
  u64 word;  // 0: nowhere
  u64 number;
};

class Journal {
 public:
  // Uses `size` bytes at `memory` as a journal after checking its header. The mapping stays the
  // caller's. `name` is the file's, for `error`.
  bool attach(void* memory, u64 size, bool writable, const char* name, Error& error);
  void detach() { *this = Journal(); }

  // Touches the pages every record needs, so that the first fault does not wait for the file system
  // (0.7 ms on a cold ext4 page): at open time. Changes nothing.
  void warm() const;

  // The header of a journal of `size` bytes from before there were trials becomes that of one with
  // their tables. False: it is none such.
  static bool add_tables(JournalHeader& header, u64 size);

  // Fills `memory` (journal_size(slot_count) zero bytes) with a fresh journal's header.
  static void format(void* memory, u32 slot_count, u64 now_ns);

  bool mapped() const { return header_ != nullptr; }
  bool writable() const { return writable_; }

  Recorded record_fault(const FaultRecord& record);
  Recorded record_alarm(const FaultRecord& record, Ticket& ticket);
  Recorded record_heal(const HealRecord& record);

  // The record was premature: frees its slot, unless the promoter has taken it. Signal-safe.
  bool take_back(const Ticket& ticket);

  // One load each: cheap enough for every blocking call.
  u64 faults_sealed() const;
  u64 generation() const;

  // The word to watch: it changes when there may be something to promote or a new catalog to load.
  // Stays mapped as long as the process lives; nullptr without a journal.
  const u64* news() const { return mapped() ? &header_->news : nullptr; }

  u64 heals_sealed() const;
  u64 heals_archived() const;
  u64 dropped_faults() const;
  u64 dropped_heals() const;

  // Copies slot `index` (< slot_count()) to `out`, checked and sanitized. `out` is meaningful for
  // `fault` and `heal` only. May ask the kernel whether the slot's owner lives (kill(pid, 0)).
  SlotView read(u32 index, Slot& out) const;
  u32 slot_count() const { return slot_count_; }

  // The heal budget's table (budget.h); nullptr when there is no writable journal.
  Budget* budgets() const { return writable_ ? budgets_ : nullptr; }
  const Budget* budgets_to_read() const { return budgets_; }
  u64 secret() const;
  // Makes all processes look at the store at their next blocking call.
  void tell_news();

  // Tables of trials.h; nullptr when there is no writable journal.
  Tally* tallies() const { return writable_ ? tallies_ : nullptr; }
  Trial* trials() const { return writable_ ? trials_ : nullptr; }
  u64 remarks() const;
  // A heal did not stick: whoever promotes should know. Signal-safe.
  void count_remark() const;

  void* memory() const { return header_; }
  u64 size() const { return mapped() ? size_ : 0; }

  // The promoter's. `release` frees the slot that `read` saw with this very word; false when it
  // has changed since.
  u64 word(u32 index) const;
  bool release(u32 index, u64 word);
  void set_generation(u64 generation);
  void count_archived_heals(u64 count);

 private:
  bool take(u32 first, u32 count, u64 ticket, u64 reserved, u32& index);
  Recorded record(RecordKind kind, const void* payload, u32 size, u32 pid, u64 time_ns, Ticket* to);

  JournalHeader* header_ = nullptr;
  u64* words_ = nullptr;
  Budget* budgets_ = nullptr;
  Tally* tallies_ = nullptr;
  Trial* trials_ = nullptr;
  Slot* slots_ = nullptr;
  u64 size_ = 0;
  u32 slot_count_ = 0;  // from the header as it was when checked; never read again
  bool writable_ = false;
};

}  // namespace selfheal::store
