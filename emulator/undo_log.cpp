#include "emulator/undo_log.h"

#include <sys/mman.h>

#include "emulator/actions.h"
#include "emulator/copy_bytes.h"
#include "emulator/guard.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

constexpr u64 action_kind = u64{1} << 32;
constexpr u64 bytes_overhead = 2 * sizeof(u64);
constexpr u64 largest_save = 0xffff'fff0;

// Keep this much of the log's memory resident; give back what a bigger region has touched beyond.
constexpr u64 resident_size = u64{512} << 10;
constexpr u64 big_size = 4 * resident_size;

constexpr u64 words(u64 size) {
  return (size + 7) & ~u64{7};
}

u64 word_at(u64 address) {
  return *pointer_to<const u64>(address);
}

bool is_action(u64 header) {
  return (header & action_kind) != 0;
}

u64 record_size(u64 header) {
  return is_action(header) ? sizeof(ActionRecord) : words(header) + bytes_overhead;
}

u64 filter_bit(u64 a, u64 bits) {
  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4); heap pointers differ above bit 4.
  return ((a >> 4) * 0x9e3779b97f4a7c15 >> 32) % bits;
}

// Something another thread or process may be waiting for (a pipe's end)?
constexpr bool observable(Deferred effect) {
  return effect == Deferred::close_fd;
}

// Does it release as many bytes as its second operand says?
constexpr bool holds_memory(Deferred effect) {
  return effect == Deferred::free_memory || effect == Deferred::unmap;
}

}  // namespace

void UndoLog::attach(u64 memory, u64 size, Thread* owner) {
  static_assert(sizeof(ActionRecord) == action_size);
  start_ = memory;
  end_ = (memory + size - filter_bits / 8) & ~u64{7};
  filter_ = pointer_to<u64>(end_);
  owner_ = owner;
  cursor_ = start_;
  limit_ = end_;
  clear();
}

bool UndoLog::save(u64 address, u64 size) {
  if (size > largest_save || words(size) + bytes_overhead > limit_ - cursor_) {
    return false;
  }
  if (size == 0) {
    return true;
  }
  copy_bytes(cursor_, address, size);
  u64* header = pointer_to<u64>(cursor_ + words(size));
  header[0] = address;
  header[1] = size;
  compiler_barrier();  // a fault above must find the log as it was
  cursor_ += words(size) + bytes_overhead;
  return true;
}

bool UndoLog::action(Action action, u64 a, u64 b, u64 c) {
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
  return true;
}

ActionRecord* UndoLog::newest(Action action, u64 a) const {
  for (u64 at = last_action_; at != 0;) {
    auto* record = pointer_to<ActionRecord>(at);
    if (record->action() == action && record->a == a) {
      return record;
    }
    at = record->older;
  }
  return nullptr;
}

bool UndoLog::cancel(Action action, u64 a) {
  ActionRecord* record = newest(action, a);
  if (record == nullptr) {
    return false;
  }
  record->header = action_kind | static_cast<u32>(Action::none);
  return true;
}

bool UndoLog::find(Action action, u64 a, u64* b) const {
  const ActionRecord* record = newest(action, a);
  if (record != nullptr && b != nullptr) {
    *b = record->b;
  }
  return record != nullptr;
}

bool UndoLog::defer(Deferred effect, u64 a, u64 b) {
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

void UndoLog::run_deferred() {
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

// Does a record older than the cursor restore bytes in this range?
bool UndoLog::touches(u64 begin, u64 end) const {
  for (u64 at = cursor_; at > start_;) {
    const u64 header = word_at(at - 8);
    if (!is_action(header)) {
      const u64 address = word_at(at - 16);
      if (address < end && begin < address + header) {
        return true;
      }
    }
    at -= record_size(header);
  }
  return false;
}

struct UndoLog::Replay {
  UndoLog& log;
  u64 floor;
  RollbackResult result;
  Unheld unheld;
};

// The cursor moves before a record is replayed, so that after a fault the next older one is next.
void UndoLog::replay(void* state) {
  auto& [log, floor, result, unheld] = *static_cast<Replay*>(state);
  while (log.cursor_ > floor) {
    const u64 record_end = log.cursor_;
    const u64 header = word_at(record_end - 8);
    const u64 record = record_end - record_size(header);
    log.cursor_ = record;
    compiler_barrier();
    if (!is_action(header)) {
      restore_bytes(word_at(record_end - 16), record, header);
      compiler_barrier();
      result.bytes += header;
      continue;
    }
    const auto& action = *pointer_to<const ActionRecord>(record);
    log.last_action_ = action.older;
    switch (action.action()) {
      case Action::none:
      case Action::atomic_new_128:
      case Action::sigaction_rest:
        break;  // cancelled, or operands of the action that was just undone
      case Action::make_writable:
        if (!log.touches(action.a, action.a + action.b)) {
          break;
        }
        [[fallthrough]];
      default:
        ++result.actions;
        result.failed += undo(action, unheld, log.owner_) ? 0 : 1;
    }
  }
}

RollbackResult UndoLog::replay_to(u64 floor) {
  Replay state{*this, floor, {}, {}};
  if (owner_ == nullptr) {
    replay(&state);
  } else {
    while (!guarded_call(*owner_, replay, &state)) {
      ++state.result.failed;
    }
  }
  return state.result;
}

void UndoLog::back_to(u64 mark) {
  replay_to(mark);
}

RollbackResult UndoLog::rollback() {
  const bool big = used() > big_size;
  const RollbackResult result = replay_to(start_);
  clear();
  give_back(big);
  return result;
}

void UndoLog::commit() {
  const bool big = used() > big_size;
  if (limit_ != end_) {
    const VectorScope vectors;
    const NativeScope native(owner_, ThreadState::busy);
    for (u64 at = end_; at > limit_;) {
      at -= sizeof(DeferredEffect);
      const auto* held = pointer_to<const DeferredEffect>(at);
      if (held->done == 0) {
        perform(held->effect, held->a, held->b);
      }
    }
  }
  clear();
  give_back(big);
}

void UndoLog::clear() {
  if (limit_ != end_) {
    zero_bytes(address_of(filter_), filter_bits / 8);
  }
  cursor_ = start_;
  limit_ = end_;
  last_action_ = 0;
  observable_ = 0;
  held_bytes_ = 0;
  unmapped_begin_ = unmapped_end_ = 0;
  irrevocable_ = 0;
}

// One big region gives its memory back at once. When the next is big too, so will be the one after:
// touching fresh pages costs 50 ns a store (bench/undo_log.cpp), so keep them until a small one
// comes.
void UndoLog::give_back(bool big) {
  const bool keep = big && was_big_;
  if ((big || retained_) && !keep && may_call(SYS_madvise)) {
    const u64 begin = page_up(start_ + resident_size);
    raw_syscall(SYS_madvise, begin, page_down(end_) - begin, MADV_DONTNEED);
  }
  retained_ = keep;
  was_big_ = big;
}

}  // namespace selfheal::emulator
