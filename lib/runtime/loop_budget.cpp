#include "lib/runtime/loop_budget.h"

#include "lib/runtime/learning.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using emulator::Outcome;
using emulator::Thread;

constexpr u64 factor = 16;
constexpr unsigned most_halvings = 5;
constexpr u64 longest_sample = 2'000'000;

// What one call needs says little about the next; what many needed, more.
u64 least_budget(u64 calls_ended) {
  u64 least = runtime.options.hang_instructions;
  for (unsigned halved = 0; halved < most_halvings && calls_ended > 1; ++halved) {
    calls_ended /= 2;
    least /= 2;
  }
  return least;
}

u64 budget_of(const Region& region) {
  if (region.budget != 0) {
    return region.budget;
  }
  const u64 learned = __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED) * factor;
  const u64 least = least_budget(__atomic_load_n(&region.calls_ended, __ATOMIC_RELAXED));
  return learned > least ? learned : least;
}

u64 not_above_general(u64 own) {
  const u64 general = runtime.options.instruction_budget;
  return own != 0 && (general == 0 || own < general) ? own : general;
}

// Of a call that is only looked at, or there for others' faults; then it goes on natively, where
// somebody watches whether it hangs. What is ready for an escalation only gives way soon.
u64 budget_of_bystander(const Region& region) {
  const u64 most = runtime.options.hang_instructions;
  return region.watched_only ? longest_sample : region.chosen ? most : most / 8;
}

}  // namespace

void give_budget(Thread& thread, const Region& region) {
  const u64 bystander = is_bystander(region) ? budget_of_bystander(region) : 0;
  const u64 own = region.loops ? budget_of(region) : bystander;
  thread.instruction_limit = not_above_general(own);
  thread.over_budget = false;
  thread.ticks = 0;
  ++thread.activation;
}

// The longest is kept by whoever comes last: one of two calls that end at once may be forgotten.
void learn_from(const Outcome& outcome, Region& region) {
  if (!region.loops) {
    return;
  }
  __atomic_store_n(&region.calls_ended, __atomic_load_n(&region.calls_ended, __ATOMIC_RELAXED) + 1,
                   __ATOMIC_RELAXED);
  if (outcome.instructions > __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED)) {
    __atomic_store_n(&region.longest_call, outcome.instructions, __ATOMIC_RELAXED);
  }
}

u64 nested_limit(u64 region_index) {
  const Region& region = region_at(region_index);
  return region.loops ? not_above_general(budget_of(region)) : 0;
}

void nested_ended(u64 region_index, u64 instructions) {
  Region& region = region_at(region_index);
  learn_from({emulator::Stop::returned, instructions, nullptr}, region);
  const Thread& thread = emulator::this_thread;
  if (thread.guest.gpr[rsp] == thread.entry_sp) {  // by a return, and not from further in
    note_return(region, thread.return_address, thread.guest.gpr[rax]);
  }
}

bool looks_endless(const Outcome& outcome, const Region& region) {
  return region.loops &&
         outcome.instructions / factor > __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED);
}

}  // namespace selfheal::runtime
