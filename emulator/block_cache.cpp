#include "emulator/block_cache.h"

#include <sys/mman.h>

#include "emulator/decode.h"
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
constinit std::atomic<u64> generation{0};  // of the code: counts calls of forget_code

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

// Under the lock. A slot whose block is invalid is taken over.
void insert(const Block* block) {
  const u64 first = first_slot(block->rip);
  for (unsigned i = 0; i < max_probes; ++i) {
    const Block* there = slot(first, i).load(std::memory_order_relaxed);
    if (there == nullptr || !there->valid.load(std::memory_order_relaxed)) {
      slot(first, i).store(block, std::memory_order_release);
      return;
    }
  }
  // A crowded neighbourhood: another block makes way. It stays valid for those linked to it.
  slot(first, static_cast<unsigned>(block->rip) % max_probes)
      .store(block, std::memory_order_release);
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

const Block* decode_now(Thread& t, u64 rip, const char*& reason) {
  const Block* block = look_up(rip);  // another thread may have been faster
  for (unsigned tries = 0; block == nullptr && tries < 4; ++tries) {
    const u64 before = generation.load(std::memory_order_acquire);
    block = decode_block(machine_of(t), rip, reason);
    if (block == nullptr) {
      return nullptr;
    }
    insert(block);
    if (generation.load(std::memory_order_acquire) != before) {
      block->valid.store(false, std::memory_order_relaxed);  // its code changed under our eyes
      block = nullptr;
      reason = "code that keeps changing";
    }
  }
  return block;
}

}  // namespace

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
  Machine& m = machine_of(t);
  if (!lock()) {
    return stop_at(t, "the block cache is busy");
  }
  m.decoding = true;
  save_vectors(m.vector_area);
  const char* reason = nullptr;
  const Block* block = decode_now(t, rip, reason);
  abandon_decoding(m);
  return block != nullptr ? block : stop_at(t, reason);
}

void abandon_decoding(Machine& m) {
  restore_vectors(m.vector_area);
  m.fetching = false;
  m.decoding = false;
  unlock_blocks();
}

void forget_code(u64 begin, u64 end) {
  if (table == nullptr) {
    return;
  }
  generation.fetch_add(1, std::memory_order_acq_rel);
  for (u64 i = 0; i < slot_count; ++i) {
    const Block* block = table[i].load(std::memory_order_acquire);
    if (block != nullptr && block->rip < end && begin < block->rip + block->size) {
      block->valid.store(false, std::memory_order_relaxed);
    }
  }
  generation.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace selfheal::emulator
