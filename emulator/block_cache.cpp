#include "emulator/block_cache.h"

#include <sys/mman.h>

#include "emulator/changing_code.h"
#include "emulator/decode.h"
#include "emulator/interpreter.h"
#include "emulator/vector_state.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {
namespace {

using Slot = std::atomic<const Block*>;

constexpr u64 slot_count = 1U << 17;
constexpr unsigned max_probes = 32;
// Tries at the lock before going native, a few tens of milliseconds: its holder may have lost the
// processor.
constexpr unsigned patience = 1U << 20;

constinit Slot* table = nullptr;
constinit u64 memory = 0;
constinit u64 memory_end = 0;
constinit std::atomic<bool> locked{false};
constinit std::atomic<const Block*> newest{nullptr};  // of all blocks: Block::made_before

u64 map_zeros(u64 size) {
  const long at = raw_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~u64{0}, 0);
  return syscall_failed(at) ? 0 : static_cast<u64>(at);
}

u64 first_slot(u64 rip) {
  return (rip * 0x9e3779b97f4a7c15) >> (64 - 17);
}

Slot& slot(u64 first, unsigned probe) {
  return table[(first + probe) & (slot_count - 1)];
}

const Block* look_up(u64 rip) {
  const u64 first = first_slot(rip);
  for (unsigned i = 0; i < max_probes; ++i) {
    const Block* block = slot(first, i).load(std::memory_order_acquire);
    if (block == nullptr) {
      return nullptr;
    }
    if (block->rip == rip && block->valid.load(std::memory_order_relaxed)) {
      return block;
    }
  }
  return nullptr;
}

// Under the lock. A block of the same address makes way, or one that is invalid.
void insert(Block* block) {
  block->made_before = newest.load(std::memory_order_relaxed);
  newest.store(block, std::memory_order_release);
  const u64 first = first_slot(block->rip);
  Slot* place = nullptr;
  for (unsigned i = 0; i < max_probes; ++i) {
    Slot& candidate = slot(first, i);
    const Block* there = candidate.load(std::memory_order_relaxed);
    const bool end = there == nullptr;
    const bool same = !end && there->rip == block->rip;
    if (same || (place == nullptr && (end || !there->valid.load(std::memory_order_relaxed)))) {
      place = &candidate;
    }
    if (same || end) {
      break;
    }
  }
  if (place == nullptr) {
    // A crowded neighbourhood: another block makes way. It stays valid for those linked to it.
    place = &slot(first, static_cast<unsigned>(block->rip) % max_probes);
  }
  place->store(block, std::memory_order_release);
}

bool lock() {
  for (unsigned i = 0; i < patience; ++i) {
    if (!locked.load(std::memory_order_relaxed) &&
        !locked.exchange(true, std::memory_order_acquire)) {
      return true;
    }
    asm volatile("pause");
  }
  return false;
}

const Block* stop_at(Thread& t, const char* reason) {
  machine_of(t).stop = Stop::unsupported;
  machine_of(t).reason = reason;
  return nullptr;
}

// A call or jump to address zero or near it: certain to be a fault, and a common one.
const Block* null_function(Thread& t, u64 rip) {
  machine_of(t).stop = Stop::fault;
  clear_fault(t.fault);
  t.fault.kind = FaultKind::exec_violation;
  t.fault.access = Access::execute;
  t.fault.address = rip;
  copy_registers(t.fault.registers, t.guest);
  return nullptr;
}

// Its first byte can be executed; the last one may lie in another page.
bool ends_in_code(const ChangingCode& code, u64 rip) {
  const u64 last = rip + code.size - 1;
  return page_down(last) == page_down(rip) || config().code_kind(last) != CodeKind::none;
}

// Among the forms this code has had, the one it has now.
const Block* known_version(Machine& m, const ChangingCode* head, u64 rip, u64 generation) {
  m.fetching = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const ChangingCode* code = head;
  while (code != nullptr && !(is_as_decoded(*code, rip) && ends_in_code(*code, rip))) {
    code = code->older;
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  m.fetching = false;
  if (code == nullptr) {
    return nullptr;
  }
  code->generation.store(generation, std::memory_order_relaxed);
  return code->block;
}

// Under the lock. Another thread may have been faster than this one, or may be changing what lies
// at `rip` under our eyes: what was found out about it counts only if nothing has happened since.
const Block* make_block(Thread& t, u64 rip, const char*& reason) {
  Machine& m = machine_of(t);
  for (unsigned tries = 0; tries < 4; ++tries) {
    const u64 before = code_generation();
    const Block* there = look_up(rip);
    const ChangingCode* head = there != nullptr ? changing_code_of(*there) : nullptr;
    if (there != nullptr && head == nullptr) {
      return there;
    }
    if (t.log.unmaps(rip)) {
      reason = "code that the region has unmapped";
      return nullptr;
    }
    if (head != nullptr && config().code_kind(rip) == CodeKind::may_change) {
      if (const Block* block = known_version(m, head, rip, before)) {
        return block;
      }
    }
    Block* block = decode_block(m, rip, {head, before}, reason);
    if (block == nullptr) {
      return nullptr;
    }
    insert(block);
    if (code_generation() == before) {
      return block;
    }
    block->valid.store(false, std::memory_order_relaxed);
  }
  reason = "code that keeps changing";
  return nullptr;
}

const Block* find_or_make(Thread& t, u64 rip) {
  after_fork();  // if we are a child that nobody has told
  Machine& m = machine_of(t);
  if (!lock()) {
    return stop_at(t, "the block cache is busy");
  }
  m.decoding = true;
  save_vectors(m.vector_area);
  const char* reason = nullptr;
  const Block* block = make_block(t, rip, reason);
  abandon_decoding(m);
  return block != nullptr ? block : stop_at(t, reason);
}

}  // namespace

constinit std::atomic<u64> code_changes{0};

bool start_blocks(u64 size) {
  const u64 slots = map_zeros(slot_count * sizeof(Slot));
  memory = map_zeros(size);
  if (slots == 0 || memory == 0) {
    return false;
  }
  table = pointer_to<Slot>(slots);
  memory_end = memory + size;
  return true;
}

void unlock_blocks() {
  locked.store(false, std::memory_order_release);
}

void* block_memory(u64 size) {
  size = (size + 7) & ~u64{7};
  if (size > memory_end - memory) {
    return nullptr;
  }
  const u64 at = memory;
  memory += size;
  return pointer_to<void>(at);
}

const Block* find_block(Thread& t, u64 rip) {
  if (const Block* block = look_up(rip)) {
    return block;
  }
  if (rip < null_page_end) {
    return null_function(t, rip);
  }
  return find_or_make(t, rip);
}

const Block* find_version(Thread& t, u64 rip) {
  return find_or_make(t, rip);
}

void abandon_decoding(Machine& m) {
  restore_vectors(m.vector_area);
  m.fetching = false;
  m.decoding = false;
  unlock_blocks();
}

void forget_code(u64 begin, u64 end) {
  code_changes.fetch_add(1, std::memory_order_acq_rel);
  const Block* block = newest.load(std::memory_order_acquire);
  for (; block != nullptr; block = block->made_before) {
    if (block->rip < end && begin < block->rip + block->size) {
      block->valid.store(false, std::memory_order_relaxed);
    }
  }
  code_changes.fetch_add(1, std::memory_order_acq_rel);
}

void code_moved() {
  code_changes.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace selfheal::emulator
