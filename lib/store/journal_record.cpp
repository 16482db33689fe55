// The recording side of the journal (the picture is in journal.h). Runs in signal handlers of dying
// processes, in sandboxes where a system call is death, and while the guest's vector registers are
// live: nothing here but loads, stores and locked instructions, in bounded loops.
#include "lib/store/checksum.h"
#include "lib/store/journal.h"
#include "lib/store/shared.h"

namespace selfheal::store {

// Starts at a slot the ticket picks, so that two processes rarely meet in one, and tries each once.
bool Journal::take(u32 first, u32 count, u64 ticket, u64 reserved, u32& index) {
  const u32 start = static_cast<u32>(ticket % count);
  for (u32 i = 0; i < count; ++i) {
    const u32 candidate = first + (start + i < count ? start + i : start + i - count);
    if (load(words_[candidate]) == 0 && swap_if(words_[candidate], 0, reserved)) {
      index = candidate;
      return true;
    }
  }
  return false;
}

Recorded Journal::record(RecordKind kind, const void* payload, u32 size, u32 pid, u64 time_ns,
                         Ticket* to) {
  if (!writable_) {
    return Recorded::not_mapped;
  }
  const u64 ticket = __atomic_fetch_add(&header_->next, 1, __ATOMIC_RELAXED);
  const u64 reserved = slot_word(SlotState::reserved, pid, time_ns);
  const u32 shared = heal_slots(slot_count_);
  const bool fault = kind == RecordKind::fault;

  // A fault takes a shared slot as long as there is one: its own quarter is for when heals have
  // filled the rest.
  u32 index = 0;
  bool taken = take(0, shared, ticket, reserved, index);
  if (!taken && fault) {
    taken = take(shared, slot_count_ - shared, ticket, reserved, index);
  }
  if (taken) {
    Slot& slot = slots_[index];
    slot.kind = kind;
    slot.reserved[0] = slot.reserved[1] = slot.reserved[2] = 0;
    slot.payload_size = size;
    slot.number = ticket;
    slot.unused = 0;
    copy_words(slot.payload, payload, size);
    slot.checksum = checksum(&slot.kind, checked_size(size));
    // Fails when we were stopped so long that the promoter gave the slot to somebody else.
    taken = swap_if(words_[index], reserved, with_state(reserved, SlotState::sealed));
  }
  if (!taken) {
    add(fault ? header_->dropped_faults : header_->dropped_heals, 1);
    return Recorded::full;
  }
  if (to != nullptr) {
    *to = {index, with_state(reserved, SlotState::sealed), ticket};
  }
  const u64 before = __atomic_fetch_add(fault ? &header_->faults_sealed : &header_->heals_sealed, 1,
                                        __ATOMIC_RELEASE);
  if (fault || before % heals_a_news == 0) {
    __atomic_fetch_add(&header_->news, 1, __ATOMIC_RELEASE);
  }
  return Recorded::yes;
}

Recorded Journal::record_fault(const FaultRecord& fault) {
  return record(RecordKind::fault, &fault, sizeof fault, fault.pid, fault.time_ns, nullptr);
}

Recorded Journal::record_alarm(const FaultRecord& fault, Ticket& ticket) {
  return record(RecordKind::fault, &fault, sizeof fault, fault.pid, fault.time_ns, &ticket);
}

Recorded Journal::record_heal(const HealRecord& heal) {
  return record(RecordKind::heal, &heal, sizeof heal, heal.pid, heal.time_ns, nullptr);
}

void Journal::count_remark() const {
  if (!writable_) {
    return;
  }
  add(header_->remarks, 1);
  __atomic_fetch_add(&header_->news, 1, __ATOMIC_RELEASE);
}

// The number: our process may have recorded another fault in that slot in the same second.
bool Journal::take_back(const Ticket& ticket) {
  return writable_ && ticket.word != 0 && slots_[ticket.index].number == ticket.number &&
         swap_if(words_[ticket.index], ticket.word, 0);
}

}  // namespace selfheal::store
