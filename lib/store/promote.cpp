#include "lib/store/promote.h"

#include <algorithm>

#include "lib/base/raw_syscall.h"
#include "lib/store/clock.h"
#include "lib/store/edit.h"
#include "lib/store/files.h"
#include "lib/store/history.h"
#include "lib/store/levels.h"
#include "lib/store/policy.h"
#include "lib/store/remedies.h"
#include "lib/store/sanitize.h"
#include "lib/store/slot.h"
#include "lib/store/standing.h"
#include "lib/store/trials.h"

namespace selfheal::store {
namespace {

struct Reference {
  u64 time_ns;
  u64 number;
  u64 word;
  u32 slot;  // in the journal
  u32 copy;  // in the batch
};

// The slots that can be taken out of the journal now, copied and in the order of their time.
class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { unmap_memory(memory_, size_); }

  bool read(const Journal& journal, u64 now, Promotion& promotion);
  u32 count() const { return count_; }
  u32 records() const { return records_; }
  Slot* slots() const { return slots_; }
  const Reference* begin() const { return references_; }
  const Reference* end() const { return references_ + count_; }

 private:
  void* memory_ = nullptr;
  u64 size_ = 0;
  Slot* slots_ = nullptr;
  Reference* references_ = nullptr;
  u32 count_ = 0;    // references: records, torn and damaged slots
  u32 records_ = 0;  // copies: records only
};

constexpr u32 no_copy = ~u32{0};

bool Batch::read(const Journal& journal, u64 now, Promotion& promotion) {
  const u64 slots_size = u64{journal.slot_count()} * sizeof(Slot);
  size_ = page_up(slots_size + u64{journal.slot_count()} * sizeof(Reference));
  memory_ = map_memory(size_);
  if (memory_ == nullptr) {
    return false;
  }
  slots_ = static_cast<Slot*>(memory_);
  references_ = pointer_to<Reference>(address_of(memory_) + slots_size);
  for (u32 i = 0; i < journal.slot_count(); ++i) {
    Slot& slot = slots_[records_];
    const u64 word = journal.word(i);
    const SlotView view = journal.read(i, slot);
    if (view == SlotView::free || view == SlotView::busy) {
      continue;
    }
    if (view == SlotView::fault && alarm_stands(slot.fault)) {
      ++promotion.standing;
      continue;
    }
    Reference& reference = references_[count_++];
    reference = {0, 0, word, i, no_copy};
    if (view == SlotView::torn || view == SlotView::damaged) {
      ++(view == SlotView::torn ? promotion.torn : promotion.damaged);
      continue;
    }
    // A time in the future would hide all later faults of that site from the counters.
    u64& time = view == SlotView::fault ? slot.fault.time_ns : slot.heal.time_ns;
    time = std::min(time, now);
    seal_slot(slot);
    reference.time_ns = time;
    reference.number = slot.number;
    reference.copy = records_++;
  }
  std::sort(references_, references_ + count_, [](const Reference& a, const Reference& b) {
    return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.number < b.number;
  });
  return true;
}

class Promoter {
 public:
  Promoter(Store& store, Error& error) : store_(store), error_(error) {}
  Promotion run();

 private:
  Promoted begin();
  void promote_fault(const FaultRecord& record);
  void promote_heal(const HealRecord& record);
  void promote_tallies();
  bool is_a_consequence(const FaultRecord& record);
  bool archive();
  void release();
  // The clock was set back: what is newer than now says nothing about what was counted.
  void forget_future(u64& time_ns) const { time_ns = time_ns > now_ ? 0 : time_ns; }

  Store& store_;
  Error& error_;
  CatalogEditor editor_;
  Batch batch_;
  Promotion promotion_;
  u64 now_ = 0;
  bool regions_changed_ = false;
  bool counters_changed_ = false;
};

bool anything_in(const Journal& journal) {
  for (u32 i = 0; i < journal.slot_count(); ++i) {
    if (journal.word(i) != 0) {
      return true;
    }
  }
  return any_tally(journal);
}

bool published(const Store& store) {
  const auto* live = static_cast<const CatalogHeader*>(store.live);
  return live == nullptr ||
         __atomic_load_n(&live->generation, __ATOMIC_ACQUIRE) == store.journal.generation();
}

Promoted Promoter::begin() {
  if (!store_.owner || !store_.journal.writable()) {
    error_.begin() << store_.path << ": only its owner may promote faults";
    return Promoted::not_owner;
  }
  bury_trials(store_.journal);
  if (!anything_in(store_.journal) && published(store_)) {
    return Promoted::nothing_new;
  }
  switch (editor_.begin(store_, error_)) {
    case EditBegin::ready:
      return Promoted::done;
    case EditBegin::busy:
      return Promoted::busy;
    case EditBegin::not_owner:
      return Promoted::not_owner;
    case EditBegin::failed:
      break;
  }
  return Promoted::failed;
}

void Promoter::promote_fault(const FaultRecord& record) {
  if (implausible(record) != nullptr) {
    ++promotion_.implausible;
    return;
  }
  const ModuleId& module = record.modules[record.region.entry.module].id;
  if (CatalogEntry* entry =
          editor_.find(module, record.region.entry.offset, record.region.code_hash);
      entry != nullptr) {
    forget_future(entry->last_seen_ns);
    const FaultCounted counted = count_fault(record, *entry);
    counters_changed_ |= counted != FaultCounted::already;
    regions_changed_ |= counted == FaultCounted::policy_changed;
    promotion_.updated_entries += counted != FaultCounted::already ? 1 : 0;
    return;
  }
  if (is_a_consequence(record)) {
    return;
  }
  if (editor_.insert(entry_from(record)) == nullptr) {
    ++promotion_.catalog_full;
    return;
  }
  ++promotion_.new_entries;
  regions_changed_ = true;
}

// What is not there to be found again can hardly be blamed: the thread had just been healed, and
// went on with what it got. That speaks against the candidate, not against the function it came to
// grief in; as long as there are others to try.
bool Promoter::is_a_consequence(const FaultRecord& record) {
  if (record.after_heal == 0) {
    return false;
  }
  const CatalogEntry* const healed = editor_.find(id_of_key(record.after_heal));
  return healed != nullptr && any_left(*healed);
}

void Promoter::promote_tallies() {
  for (u32 i = 0; i < tally_count; ++i) {
    Tally tally;
    if (!collect_tally(store_.journal, i, tally)) {
      continue;
    }
    CatalogEntry* const entry = editor_.find(id_of_key(tally.candidate));
    if (entry != nullptr) {
      add_tally(*entry, candidate_of_key(tally.candidate), tally);
      regions_changed_ |= move_on(*entry);
      counters_changed_ = true;
    }
  }
}

void Promoter::promote_heal(const HealRecord& record) {
  CatalogEntry* entry = nullptr;
  if (record.candidate != 0) {
    entry = editor_.find(id_of_key(record.candidate));
  } else if (record.region.entry.module != no_module) {
    entry = editor_.find(record.modules[record.region.entry.module].id, record.region.entry.offset,
                         record.region.code_hash);
  }
  if (entry == nullptr) {
    return;
  }
  if (record.outcome == HealOutcome::unfit) {
    const u32 level = candidate_of_key(record.candidate).level;
    if (level != 0 && level < max_levels && entry->level_by_user == 0) {
      entry->unfit_levels |= static_cast<u8>(1U << level);
      regions_changed_ |= move_on(*entry);
      counters_changed_ = true;
    }
    return;
  }
  if (record.outcome == HealOutcome::access) {
    entry->decides_access = 1;
    counters_changed_ = true;
  }
  if (!recovered(record.outcome)) {
    return;
  }
  forget_future(entry->last_heal_ns);
  if (record.time_ns > entry->last_heal_ns) {
    ++entry->heal_count;
    regions_changed_ |= strengthen_remedies(record, *entry);
    entry->last_heal_ns = record.time_ns;
    counters_changed_ = true;
  }
}

bool Promoter::archive() {
  if (batch_.records() == 0) {
    return true;
  }
  if (!append_history(editor_.directory(), batch_.slots(), batch_.records(), store_.path, error_)) {
    return false;
  }
  promotion_.archived = batch_.records();
  return true;
}

void Promoter::release() {
  u64 heals = 0;
  for (const Reference& reference : batch_) {
    const bool freed = store_.journal.release(reference.slot, reference.word);
    if (freed && reference.copy != no_copy &&
        batch_.slots()[reference.copy].kind == RecordKind::heal) {
      ++heals;
    }
  }
  store_.journal.count_archived_heals(heals);
}

Promotion Promoter::run() {
  promotion_.result = begin();
  if (promotion_.result != Promoted::done) {
    return promotion_;
  }
  promotion_.result = Promoted::failed;
  now_ = realtime_ns();
  if (!batch_.read(store_.journal, now_, promotion_)) {
    error_.begin() << store_.path << ": no memory to read the journal into";
    return promotion_;
  }
  promote_tallies();
  for (const Reference& reference : batch_) {
    if (reference.copy == no_copy) {
      continue;
    }
    const Slot& slot = batch_.slots()[reference.copy];
    if (slot.kind == RecordKind::fault) {
      promote_fault(slot.fault);
    } else {
      promote_heal(slot.heal);
    }
  }
  if (regions_changed_ || counters_changed_) {
    if (!editor_.commit(regions_changed_ ? EditKind::regions : EditKind::counters, error_)) {
      return promotion_;
    }
  } else if (!published(store_)) {
    editor_.republish();
  }
  if (!archive()) {
    return promotion_;
  }
  release();
  promotion_.result = batch_.count() == 0 ? Promoted::nothing_new : Promoted::done;
  return promotion_;
}

}  // namespace

Promotion promote(Store& store, Error& error) {
  return Promoter(store, error).run();
}

u64 evidence_in(const Journal& journal) {
  return journal.faults_sealed() + journal.remarks();
}

bool wants_promotion(const Store& store, u64 evidence_seen) {
  const Journal& journal = store.journal;
  return store.owner && journal.writable() &&
         (evidence_in(journal) != evidence_seen ||
          journal.heals_sealed() - journal.heals_archived() > heal_slots(journal.slot_count()) / 2);
}

}  // namespace selfheal::store
