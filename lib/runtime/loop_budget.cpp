#include "lib/runtime/loop_budget.h"

#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using emulator::Outcome;
using emulator::Thread;

constexpr u64 factor = 16;

u64 budget_of(const Region& region) {
  if (region.budget != 0) {
    return region.budget;
  }
  const u64 learned = __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED) * factor;
  const u64 least = runtime.options.hang_instructions;
  return learned > least ? learned : least;
}

}  // namespace

void give_budget(Thread& thread, const Region& region) {
  const u64 general = runtime.options.instruction_budget;
  const u64 own = region.loops ? budget_of(region) : 0;
  thread.instruction_limit = own != 0 && (general == 0 || own < general) ? own : general;
  thread.over_budget = false;
  thread.ticks = 0;
  ++thread.activation;
}

// The longest is kept by whoever comes last: one of two calls that end at once may be forgotten.
void learn_from(const Outcome& outcome, Region& region) {
  if (region.loops &&
      outcome.instructions > __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED)) {
    __atomic_store_n(&region.longest_call, outcome.instructions, __ATOMIC_RELAXED);
  }
}

bool looks_endless(const Outcome& outcome, const Region& region) {
  return region.loops &&
         outcome.instructions / factor > __atomic_load_n(&region.longest_call, __ATOMIC_RELAXED);
}

}  // namespace selfheal::runtime
