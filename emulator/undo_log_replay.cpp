#include "emulator/actions.h"
#include "emulator/copy_bytes.h"
#include "emulator/given_away.h"
#include "emulator/guard.h"
#include "emulator/undo_log.h"
#include "emulator/undo_log_record.h"

namespace selfheal::emulator {

// Does a record older than the cursor restore bytes in this range?
bool UndoLog::touches(u64 begin, u64 end) const {
  for (u64 at = cursor_; at > start_;) {
    const RecordView record = record_before(at, action_size);
    if (record.address < end && begin < record.address + record.size) {
      return true;
    }
    at = record.begin;
  }
  return false;
}

struct UndoLog::Replay {
  UndoLog& log;
  u64 floor;
  RollbackResult result;
  RollbackState actions;
  GivenAway given;
  RecordView bytes;  // being put back: a fault now is its
};

// All of a record but what was given away.
void UndoLog::restore(Replay& state, const RecordView& record) {
  const u64 end = record.address + record.size;
  for (u64 at = record.address; at < end;) {
    u64 next = end;
    if (state.given.none() || !state.given.holds(at, end, next)) {
      state.bytes = {record.begin + (at - record.address), at, next - at};
      compiler_barrier();
      restore_bytes(at, state.bytes.begin, next - at);
      compiler_barrier();
      state.bytes.size = 0;
      state.result.bytes += next - at;
    }
    at = next;
  }
}

// The cursor moves before a record is replayed, so that after a fault the next older one is next.
void UndoLog::replay(void* state) {
  auto& replaying = *static_cast<Replay*>(state);
  auto& [log, floor, result, actions, given, bytes] = replaying;
  while (log.cursor_ > floor) {
    const RecordView record = record_before(log.cursor_, action_size);
    log.cursor_ = record.begin;
    if (record.size != 0) {
      restore(replaying, record);
      continue;
    }
    compiler_barrier();
    const auto& action = *pointer_to<const ActionRecord>(record.begin);
    log.last_action_ = action.older;
    switch (action.action()) {
      case Action::none:
      case Action::atomic_new_128:
      case Action::sigaction_rest:
        break;  // cancelled, or operands of the action that was just undone
      case Action::given_away:
        given.add(action.a, action.b);
        break;
      case Action::make_writable:
        if (!log.touches(action.a, action.a + action.b)) {
          break;
        }
        [[fallthrough]];
      default:
        if (u64 until; given.holds(action.a, action.a + 1, until)) {
          break;  // a word or a lock that is in there
        }
        ++result.actions;
        result.failed += undo(action, actions, log.owner_) ? 0 : 1;
    }
  }
}

namespace {

struct Part {
  u64 to;
  u64 from;
  u64 size;
  bool equal;
};

void restore_part(void* argument) {
  const auto& part = *static_cast<const Part*>(argument);
  restore_bytes(part.to, part.from, part.size);
}

void compare_part(void* argument) {
  auto& part = *static_cast<Part*>(argument);
  part.equal = true;
  for (u64 i = 0; i < part.size; ++i) {
    const u8 now = *pointer_to<const volatile u8>(part.to + i);
    part.equal = part.equal && now == *pointer_to<const u8>(part.from + i);
  }
}

}  // namespace

// A record that could not be put back as a whole: the pages that can, are. A page that can be read
// and holds the old bytes needs nothing: it was logged for a store that then faulted, as on
// read-only memory.
void UndoLog::restore_pages(Replay& state) {
  const RecordView record = state.bytes;
  state.bytes.size = 0;
  bool failed = false;
  for (u64 done = 0; done < record.size;) {
    const u64 to = record.address + done;
    const u64 in_page = page_down(to) + page_size - to;
    const u64 size = in_page < record.size - done ? in_page : record.size - done;
    Part part{to, record.begin + done, size, false};
    if (guarded_call(*state.log.owner_, restore_part, &part)) {
      state.result.bytes += size;
    } else if (!guarded_call(*state.log.owner_, compare_part, &part) || !part.equal) {
      failed = true;
    }
    done += size;
  }
  state.result.failed += failed ? 1 : 0;
}

RollbackResult UndoLog::replay_to(u64 floor) {
  Replay state{*this, floor, {}, {}, {}, {}};
  begin_anew();
  if (owner_ == nullptr) {
    replay(&state);
  } else {
    while (!guarded_call(*owner_, replay, &state)) {
      if (state.bytes.size != 0) {
        restore_pages(state);
      } else {
        ++state.result.failed;  // an action's own word is gone
      }
    }
  }
  wake_waiters(state.actions);
  return state.result;
}

void UndoLog::back_to(u64 mark) {
  replay_to(mark);
}

// What was held back since is dropped; what had to be done all the same (run_deferred) is done.
RollbackResult UndoLog::back_to_nested(const Mark& mark) {
  const RollbackResult result = replay_to(mark.cursor);
  for (; limit_ < mark.limit; limit_ += sizeof(DeferredEffect)) {
    const auto* dropped = pointer_to<const DeferredEffect>(limit_);
    observable_ -= dropped->done == 0 && observable(dropped->effect) ? 1 : 0;
    held_bytes_ -= holds_memory(dropped->effect) ? dropped->b : 0;
  }
  return result;
}

RollbackResult UndoLog::rollback() {
  const bool was_big = big();
  const RollbackResult result = replay_to(start_);
  clear();
  give_back(was_big);
  return result;
}

void UndoLog::commit() {
  const bool was_big = big();
  send_output();
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
  give_back(was_big);
}

}  // namespace selfheal::emulator
