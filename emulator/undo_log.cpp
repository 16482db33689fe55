#include "emulator/undo_log.h"

#include <sys/mman.h>

#include "emulator/actions.h"
#include "emulator/copy_bytes.h"
#include "emulator/guard.h"
#include "emulator/undo_log_record.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

constexpr u64 largest_save = 0xffff'fff0;

// Keep this much of the log's memory resident; give back what a bigger region has touched beyond.
constexpr u64 resident_size = u64{512} << 10;
constexpr u64 big_size = 4 * resident_size;

u64 filter_bit(u64 a, u64 bits) {
  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4); heap pointers differ above bit 4.
  return ((a >> 4) * 0x9e3779b97f4a7c15 >> 32) % bits;
}

}  // namespace

void UndoLog::attach(u64 memory, u64 size, Thread* owner) {
  static_assert(sizeof(ActionRecord) == action_size);
  start_ = memory;
  recent_ = pointer_to<u64>((memory + size) & ~u64{7}) - recent_entries;
  filter_ = recent_ - filter_bits / 64;
  end_ = address_of(filter_);
  owner_ = owner;
  cursor_ = start_;
  limit_ = end_;
  clear();
}

namespace {

// Where the next record begins.
u64 write_header(u64 at, u64 address, u64 size) {
  u64* header = pointer_to<u64>(at);
  if (fits_short(address, size)) {
    *header++ = short_header(address, size);
  } else {
    *header++ = address;
    *header++ = long_kind | size;
  }
  return address_of(header);
}

}  // namespace

bool UndoLog::save(u64 address, u64 size) {
  settle();
  if (size > largest_save || words(size) + 2 * sizeof(u64) > limit_ - cursor_) {
    return false;
  }
  if (size == 0) {
    return true;
  }
  copy_bytes(cursor_, address, size);
  compiler_barrier();  // a fault in there must find the log as it was
  tail_begin_ = cursor_;
  tail_next_ = cursor_ + size;
  tail_end_ = address + size;
  cursor_ = write_header(cursor_ + words(size), address, size);
  return true;
}

void UndoLog::close_tail() {
  const u64 size = tail_next_ - tail_begin_;
  joined_ = false;
  cursor_ = write_header(tail_begin_ + words(size), tail_end_ - size, size);
}

bool UndoLog::action(Action action, u64 a, u64 b, u64 c) {
  settle();
  if (sizeof(ActionRecord) > limit_ - cursor_) {
    return false;
  }
  auto* record = pointer_to<ActionRecord>(cursor_);
  record->older = last_action_;
  record->c = c;
  record->b = b;
  record->a = a;
  record->header = action_kind | static_cast<u32>(action);
  last_action_ = cursor_;
  cursor_ += sizeof(ActionRecord);
  begin_anew();
  if (is_atomic(action)) {
    const u64 bit = hash_of(a, 12);
    atomic_words_[bit / 64] |= u64{1} << (bit % 64);
    any_atomic_ = true;
  }
  return true;
}

bool UndoLog::find_atomic(u64 address) const {
  u64 at = last_action_;
  for (unsigned i = 0; at != 0 && i < 64; ++i) {
    const auto* record = pointer_to<const ActionRecord>(at);
    if (record->a == address && is_atomic(record->action())) {
      return true;
    }
    at = record->older;
  }
  return false;
}

void UndoLog::forget_recent() {
  zero_bytes(address_of(recent_), recent_entries * sizeof(u64));
  epoch_ = epoch_step;
}

ActionRecord* UndoLog::newest(Action action, u64 a, u64 from) const {
  for (u64 at = last_action_; at != 0 && at >= from;) {
    auto* record = pointer_to<ActionRecord>(at);
    if (record->action() == action && record->a == a) {
      return record;
    }
    at = record->older;
  }
  return nullptr;
}

UndoLog::Mark UndoLog::begin_nested() {
  const Mark here{mark(), limit_, nested_from_};
  nested_from_ = here.cursor;
  return here;
}

bool UndoLog::cancel(Action action, u64 a) {
  return cancel_since(action, a, 0);
}

bool UndoLog::cancel_own(Action action, u64 a) {
  return cancel_since(action, a, nested_from_);
}

bool UndoLog::cancel_since(Action action, u64 a, u64 from) {
  ActionRecord* record = newest(action, a, from);
  if (record == nullptr) {
    return false;
  }
  record->header = action_kind | static_cast<u32>(Action::none);
  return true;
}

void UndoLog::give_away(u64 begin, u64 end) {
  const u64 inside = begin;
  for (u64 at = last_action_; at != 0;) {
    auto* record = pointer_to<ActionRecord>(at);
    const bool maps = record->action() == Action::unmap && inside - record->a < record->b;
    if (maps || (record->action() == Action::free_memory && record->a == inside)) {
      record->header = action_kind | static_cast<u32>(Action::none);
    }
    if (maps) {
      begin = record->a;
      end = end > record->a + record->b ? end : record->a + record->b;
    }
    at = record->older;
  }
  static_cast<void>(action(Action::given_away, begin, end));
}

bool UndoLog::find(Action action, u64 a, u64* b) const {
  const ActionRecord* record = newest(action, a);
  if (record != nullptr && b != nullptr) {
    *b = record->b;
  }
  return record != nullptr;
}

bool UndoLog::defer(Deferred effect, u64 a, u64 b) {
  settle();
  if (sizeof(DeferredEffect) > limit_ - cursor_) {
    return false;
  }
  limit_ -= sizeof(DeferredEffect);
  *pointer_to<DeferredEffect>(limit_) = {effect, 0, a, b};
  observable_ += observable(effect) ? 1 : 0;
  held_bytes_ += holds_memory(effect) ? b : 0;
  if (effect == Deferred::unmap) {
    const bool first = unmapped_end_ == 0;
    unmapped_begin_ = first || a < unmapped_begin_ ? a : unmapped_begin_;
    unmapped_end_ = a + b > unmapped_end_ ? a + b : unmapped_end_;
  }
  const u64 bit = filter_bit(a, filter_bits);
  filter_[bit / 64] |= u64{1} << bit % 64;
  return true;
}

bool UndoLog::deferred(Deferred effect, u64 a) const {
  const u64 bit = filter_bit(a, filter_bits);
  if (limit_ == end_ || (filter_[bit / 64] >> bit % 64 & 1) == 0) {
    return false;
  }
  constexpr u64 window = 256 * sizeof(DeferredEffect);
  const u64 last = end_ - limit_ > window ? limit_ + window : end_;
  for (u64 at = limit_; at < last; at += sizeof(DeferredEffect)) {
    const auto* held = pointer_to<const DeferredEffect>(at);
    if (held->effect == effect && held->a == a && held->done == 0) {
      return true;
    }
  }
  return false;
}

bool UndoLog::finds_unmap(u64 address) const {
  for (u64 at = limit_; at < end_; at += sizeof(DeferredEffect)) {
    const auto* held = pointer_to<const DeferredEffect>(at);
    if (held->effect == Deferred::unmap && address - held->a < held->b) {
      return true;
    }
  }
  return false;
}

bool UndoLog::holds_back() const {
  return observable_ != 0 || (owner_ != nullptr && owner_->output.used != 0);
}

void UndoLog::send_output() {
  if (owner_ == nullptr || owner_->output.used == 0) {
    return;
  }
  const NativeScope native(owner_, ThreadState::busy);
  for (u64 sent = send_held_output(*owner_); sent != 0; --sent) {
    note_irrevocable(SYS_sendto);
  }
}

void UndoLog::run_deferred() {
  send_output();
  // Newest first: where one descriptor was closed twice, the newest restore_fd is the newest
  // close's.
  for (u64 at = limit_; observable_ != 0 && at < end_; at += sizeof(DeferredEffect)) {
    auto* held = pointer_to<DeferredEffect>(at);
    if (held->done == 0 && observable(held->effect)) {
      perform(held->effect, held->a, held->b);
      held->done = 1;
      --observable_;
      cancel(Action::restore_fd, held->b);
      note_irrevocable(SYS_close);
    }
  }
}

void UndoLog::note_irrevocable(u32 system_call) {
  constexpr u32 kept = sizeof irrevocable_calls_ / sizeof irrevocable_calls_[0];
  if (irrevocable_ < kept) {
    irrevocable_calls_[irrevocable_] = system_call;
  }
  ++irrevocable_;
}

void UndoLog::clear() {
  if (limit_ != end_) {
    zero_bytes(address_of(filter_), filter_bits / 8);
  }
  begin_anew();
  cursor_ = start_;
  limit_ = end_;
  if (any_atomic_) {
    zero_bytes(address_of(atomic_words_), sizeof atomic_words_);
    any_atomic_ = false;
  }
  last_action_ = 0;
  nested_from_ = 0;
  observable_ = 0;
  held_bytes_ = 0;
  unmapped_begin_ = unmapped_end_ = 0;
  irrevocable_ = 0;
}

bool UndoLog::big() const {
  return used() > big_size;
}

// One big region gives its memory back at once. When the next is big too, so will be the one after:
// touching fresh pages costs 50 ns a store (bench/undo_log.cpp), so keep them until a small one
// comes.
void UndoLog::give_back(bool was_big) {
  const bool keep = was_big && was_big_;
  if ((was_big || retained_) && !keep && may_call(SYS_madvise)) {
    const u64 begin = page_up(start_ + resident_size);
    raw_syscall(SYS_madvise, begin, page_down(end_) - begin, MADV_DONTNEED);
  }
  retained_ = keep;
  was_big_ = was_big;
}

}  // namespace selfheal::emulator
