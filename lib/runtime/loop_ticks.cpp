// The part of loop_budget.h that runs in signal handlers.
#include "emulator/interrupt.h"
#include "lib/runtime/loop_budget.h"
#include "lib/runtime/process_memory.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using emulator::this_thread;
using emulator::Thread;
using emulator::ThreadState;

constinit thread_local u64 ticked_activation = 0;
constinit thread_local u64 memory_then = 0;

bool took_its_time(Thread& thread, u64 interval_ns) {
  return ++thread.ticks * interval_ns >= runtime.options.hang_seconds * 1'000'000;
}

bool took_its_memory() {
  const u64 limit = runtime.options.growth_megabytes << 20;
  return limit != 0 && peak_memory() - memory_then >= limit;
}

// As the caller sees it when the region returns.
void take_caller(const Thread& thread, Registers& registers) {
  registers = thread.checkpoint;
  registers.rip = thread.return_address;
  registers.gpr[rsp] = thread.entry_sp + sizeof(u64);
}

}  // namespace

Ticked tick(ucontext_t& context, u64 interval_ns, Registers& registers) {
  Thread& thread = this_thread;
  if (thread.state == ThreadState::absent || thread.state == ThreadState::idle ||
      thread.state == ThreadState::suspended) {
    return Ticked::application;
  }
  if (thread.state == ThreadState::busy) {
    return Ticked::region;
  }
  const bool same_call = ticked_activation == thread.activation;
  if (!same_call) {
    ticked_activation = thread.activation;
    memory_then = peak_memory();
    take_caller(thread, registers);
  }
  const Region& region = region_at(thread.region_index);
  if (region.loops && (took_its_time(thread, interval_ns) || (same_call && took_its_memory()))) {
    emulator::stop_for_budget(thread, context);
  }
  return same_call ? Ticked::region : Ticked::new_call;
}

}  // namespace selfheal::runtime
