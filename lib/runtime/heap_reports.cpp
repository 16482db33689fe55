#include "lib/runtime/heap_reports.h"

#include <atomic>
#include <cstdlib>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulator/engine.h"
#include "lib/base/raw_syscall.h"
#include "lib/image/module.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/fault_path.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/heap_probe.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_bounds.h"
#include "lib/runtime/symbolize.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

namespace heap = probes::heap;

Fault fault_of(FaultKind kind, u64 address) {
  Fault fault{};
  fault.kind = kind;
  fault.address = address;
  return fault;
}

// The guest stands at the first instruction of malloc, free, ...: what it will return to.
u64 guest_site() {
  const emulator::Thread& thread = emulator::this_thread;
  return thread.state == emulator::ThreadState::native
             ? *pointer_to<const u64>(thread.guest.gpr[rsp])
             : 0;
}

// As glibc's malloc_printerr: a line on standard error, then abort.
[[noreturn]] void end_as_the_allocator_would(bool freed_before) {
  constexpr std::string_view twice = "free(): double free detected\n";
  constexpr std::string_view never = "free(): invalid pointer\n";
  const std::string_view line = freed_before ? twice : never;
  if (probes::allowed(probes::Call::write)) {
    raw_syscall(SYS_write, STDERR_FILENO, address_of(line.data()), line.size());
  }
  expect_abort();
  std::abort();
}

void bad_free(u64 pointer, const heap::ChunkInfo* chunk, u64 site) {
  record_call_fault(fault_of(FaultKind::bad_free, pointer), site, Witness::caller);
  end_as_the_allocator_would(chunk != nullptr && !chunk->live && chunk->begin == pointer);
}

// A record of what a remedy did, under the name of the region it belongs to.
HealRecord remedied(const Fault& fault, const RemedyOwner& owner, Remedy remedy, u64 site) {
  HealRecord record{};
  forget_modules();
  record.time_ns = realtime_ns();
  record.pid = static_cast<u32>(getpid());
  record.tid = static_cast<u32>(gettid());
  record.fault = fault;
  record.region = owner.function;
  record.modules[0] = owner.module;
  record.module_count = 1;
  record.site = refer(record, site);
  record.return_address = record.site;
  record.outcome = HealOutcome::healed;
  record.remedies = static_cast<u8>(remedy);
  return record;
}

bool ignored(u64 pointer, u64 site, u64 owner_id) {
  RemedyOwner owner{};
  if (!find_remedy_owner(owner_id, owner) ||
      !may_spend(owner_id, fault_of(FaultKind::bad_free, pointer), realtime_ns())) {
    return false;
  }
  runtime.heals.fetch_add(1);
  write_down(remedied(fault_of(FaultKind::bad_free, pointer), owner, Remedy::ignore_free, site));
  return true;
}

// Once a site and process: a loop over damaged chunks is one fault.
bool first_time(u64 site) {
  constexpr unsigned remembered = 64;
  static constinit std::atomic<u64> seen[remembered] = {};
  for (std::atomic<u64>& cell : seen) {
    u64 there = cell.load();
    if (there == 0 && cell.compare_exchange_strong(there, site)) {
      return true;
    }
    if (there == site) {
      return false;
    }
  }
  return false;
}

// The overflow is over and the red zone has taken it, so nothing ends. Who wrote is not known; the
// remedy is at the site that allocated the chunk, and that is what the record names.
void damaged(const heap::ChunkInfo& chunk, i64 offset) {
  if (chunk.allocated_at != 0 && first_time(chunk.allocated_at)) {
    record_call_fault(fault_of(FaultKind::heap_overflow, chunk.begin + static_cast<u64>(offset)),
                      chunk.allocated_at, Witness::alone);
  }
}

void absorbed(const heap::ChunkInfo& chunk, u64 owner_id) {
  RemedyOwner owner{};
  if (!find_remedy_owner(owner_id, owner)) {
    return;
  }
  Fault fault = fault_of(FaultKind::heap_overflow, chunk.begin + chunk.size);
  fault.access = Access::write;
  runtime.heals.fetch_add(1);
  write_down(remedied(fault, owner, Remedy::pad_allocation, chunk.allocated_at));
}

bool never_heap(u64 address) {
  const emulator::Thread& thread = emulator::this_thread;
  const bool engine = thread.state == emulator::ThreadState::running;
  const u64 sp = engine ? thread.guest.gpr[rsp] : address_of(__builtin_frame_address(0));
  const recover::StackBounds stack = stack_bounds(sp);
  image::Module module;
  return (address >= sp && address < stack.high) || image::locate_module(address, module);
}

}  // namespace

heap::Reports heap_reports() {
  heap::Reports reports{};
  reports.guest_site = &guest_site;
  reports.bad_free = &bad_free;
  reports.ignored = &ignored;
  reports.damaged = &damaged;
  reports.absorbed = &absorbed;
  reports.never_heap = &never_heap;
  return reports;
}

}  // namespace selfheal::runtime
