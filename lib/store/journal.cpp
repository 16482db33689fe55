#include "lib/store/journal.h"

#include <errno.h>

#include "lib/base/raw_syscall.h"
#include "lib/store/checksum.h"
#include "lib/store/clock.h"
#include "lib/store/shared.h"
#include "lib/store/slot.h"

namespace selfheal::store {
namespace {

// A reservation lasts microseconds. One this old is torn even if a process of that number lives:
// numbers are used again.
constexpr u32 stale_seconds = 60;

constexpr const char* remedy = "; move it away, and a new one is made";

u64 fixed_checksum(const JournalHeader& header) {
  return checksum(&header, offsetof(JournalHeader, checksum));
}

bool has_tables(const JournalHeader& header) {
  return header.tally_count == tally_count && header.trial_count == trial_count;
}

bool has_no_tables(const JournalHeader& header) {
  return header.tally_count == 0 && header.trial_count == 0;
}

bool check_header(const JournalHeader& header, u64 size, const char* name, Error& error) {
  if (header.magic != journal_magic) {
    error.at(name, 0) << "this is not a selfheal journal" << remedy;
    return false;
  }
  if (header.version != format_version) {
    Text& line = error.at(name, offsetof(JournalHeader, version)) << "format version ";
    line.decimal(header.version) << ", but this libselfheal knows only version ";
    line.decimal(format_version) << remedy;
    return false;
  }
  if (header.checksum != fixed_checksum(header)) {
    error.at(name, offsetof(JournalHeader, checksum)) << "the header is damaged" << remedy;
    return false;
  }
  if (header.slot_size != slot_size || header.budget_count != budget_count ||
      !(has_tables(header) || has_no_tables(header)) || header.slot_count < min_slot_count ||
      header.slot_count > max_slot_count) {
    error.at(name, offsetof(JournalHeader, slot_size)) << "sizes out of range" << remedy;
    return false;
  }
  const bool still_short = has_no_tables(header) && size == size_without_tables(header.slot_count);
  if (size != journal_size(header.slot_count) && !still_short) {
    (error.at(name, size) << "the file should end at ").decimal(journal_size(header.slot_count))
        << remedy;
    return false;
  }
  return true;
}

SlotView view_of_reserved(u64 word) {
  const u32 now = static_cast<u32>(realtime_ns() / 1'000'000'000);
  const u32 age = now - second_of(word);  // modulo 2^32: a time in the future is very old
  if (pid_of(word) == 0 || age > stale_seconds) {
    return SlotView::torn;
  }
  return raw_syscall(SYS_kill, pid_of(word), 0) == -ESRCH ? SlotView::torn : SlotView::busy;
}

}  // namespace

bool Journal::attach(void* memory, u64 size, bool writable, const char* name, Error& error) {
  detach();
  if (size < header_size) {
    error.at(name, size) << "the file ends inside its header" << remedy;
    return false;
  }
  // Checked and used from a copy: others may write to the mapping at any time.
  JournalHeader header;
  copy_words(&header, memory, sizeof header);
  if (!check_header(header, size, name, error)) {
    return false;
  }
  u8* const bytes = static_cast<u8*>(memory);
  header_ = pointer_to<JournalHeader>(address_of(bytes));
  words_ = pointer_to<u64>(address_of(bytes + header_size));
  budgets_ = pointer_to<Budget>(address_of(bytes + budgets_at(header.slot_count)));
  const bool tables = has_tables(header);
  tallies_ =
      tables ? pointer_to<Tally>(address_of(bytes + tallies_at(header.slot_count))) : nullptr;
  trials_ = tables ? pointer_to<Trial>(address_of(bytes + trials_at(header.slot_count))) : nullptr;
  slots_ = pointer_to<Slot>(address_of(bytes + slots_at(header.slot_count)));
  slot_count_ = header.slot_count;
  size_ = size;
  writable_ = writable;
  return true;
}

void Journal::warm() const {
  u8* const bytes = pointer_to<u8>(address_of(header_));
  const auto touch = [bytes](u64 begin, u64 end) {
    for (u64 at = begin; at < end; at += page_size) {
      __atomic_fetch_add(bytes + at, 0, __ATOMIC_RELAXED);  // a write: no fault later either
    }
  };
  if (writable_) {
    touch(0, slots_at(slot_count_));
  }
  if (writable_ && tallies_ != nullptr) {
    touch(tallies_at(slot_count_), size_);
  }
}

void Journal::format(void* memory, u32 slot_count, u64 now_ns) {
  JournalHeader& header = *static_cast<JournalHeader*>(memory);
  header.magic = journal_magic;
  header.version = format_version;
  header.slot_size = slot_size;
  header.slot_count = slot_count;
  header.budget_count = budget_count;
  header.tally_count = tally_count;
  header.trial_count = trial_count;
  header.created_ns = now_ns;
  raw_syscall(SYS_getrandom, address_of(&header.secret), sizeof header.secret, 0);
  header.checksum = fixed_checksum(header);
}

bool Journal::add_tables(JournalHeader& header, u64 size) {
  Error ignored;
  if (!check_header(header, size, "", ignored) || !has_no_tables(header)) {
    return false;
  }
  header.tally_count = tally_count;
  header.trial_count = trial_count;
  header.checksum = fixed_checksum(header);
  return true;
}

u64 Journal::secret() const {
  return mapped() ? header_->secret : 0;
}
void Journal::tell_news() {
  if (writable_) {
    add(header_->news, 1);
  }
}
u64 Journal::faults_sealed() const {
  return mapped() ? load(header_->faults_sealed) : 0;
}
u64 Journal::generation() const {
  return mapped() ? load(header_->generation) : 0;
}
u64 Journal::heals_sealed() const {
  return mapped() ? load(header_->heals_sealed) : 0;
}
u64 Journal::heals_archived() const {
  return mapped() ? load(header_->heals_archived) : 0;
}
u64 Journal::dropped_faults() const {
  return mapped() ? load(header_->dropped_faults) : 0;
}
u64 Journal::dropped_heals() const {
  return mapped() ? load(header_->dropped_heals) : 0;
}

u64 Journal::remarks() const {
  return mapped() ? load(header_->remarks) : 0;
}

u64 Journal::word(u32 index) const {
  return index < slot_count_ ? load(words_[index]) : 0;
}

SlotView Journal::read(u32 index, Slot& out) const {
  const u64 seen = word(index);
  if (seen == 0) {
    return SlotView::free;
  }
  if (is_state(seen, SlotState::reserved)) {
    return view_of_reserved(seen);
  }
  if (!is_state(seen, SlotState::sealed)) {
    return SlotView::damaged;
  }
  copy_words(&out, &slots_[index], sizeof out);
  if (word(index) != seen) {
    return SlotView::busy;
  }
  return check_slot(out);
}

bool Journal::release(u32 index, u64 seen) {
  return writable_ && index < slot_count_ && swap_if(words_[index], seen, 0);
}

void Journal::set_generation(u64 generation) {
  if (writable_) {
    __atomic_store_n(&header_->generation, generation, __ATOMIC_RELEASE);
    add(header_->news, 1);
  }
}

void Journal::count_archived_heals(u64 count) {
  if (writable_) {
    add(header_->heals_archived, count);
  }
}

}  // namespace selfheal::store
