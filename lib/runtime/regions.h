// The regions of this process: what of the catalog, and of the `region` option, is loaded here, and
// under which index its entry was patched.
//
// Changed by one thread at a time (under runtime.changing); read from region entry and from signal
// handlers without a lock: a cell is filled before a stub with its index can be reached.
#pragma once

#include "emulator/thread.h"
#include "lib/base/record.h"
#include "lib/base/types.h"
#include "lib/image/module.h"
#include "lib/patch/patcher.h"
#include "lib/store/catalog.h"

namespace selfheal::runtime {

// Which calls of a watched function are run by the engine.
struct Sampling {
  u32 period;  // that the rest speaks of
  u32 taken;   // samples of the period, as far as they are counted
  u32 skip;    // calls to let pass between two samples
  u32 left;    // of them
  u64 begun;   // time stamps of the last sample
  u64 ended;
};

// Where it is called from, and whether the result is used there.
struct KnownCall {
  u64 return_address;
  bool used;
};
inline constexpr unsigned calls_kept = 4;

// A function that may fail where a heal did not stick.
struct OuterLevel {
  u64 entry;
  u8 level;
};

struct Region {
  u64 entry;  // run-time address
  FunctionRef function;
  RecordModule module;
  u64 catalog_id;  // 0: named by the `region` option only
  store::Policy policy;
  bool value_set;
  bool error_set;
  u8 remedies;             // Remedy bits in force
  u8 reserve_class;        // of its stack check: stack_check.h
  bool loops;              // blamed for a loop: its calls have a budget (loop_budget.h)
  bool heals_integrity;    // the user has said so
  bool unprotected_noted;  // its undo log overflowed once; said so
  i32 error_number;
  u64 value;
  u64 budget;        // instructions, by the catalog; 0: learned
  u64 longest_call;  // instructions, of those that came to an end
  u64 calls_ended;   // of a region that loops; about: one of two that end at once may be forgotten
  bool simulate;     // write down what would be healed, and let it happen
  u8 percent;        // of its faults that are healed

  // Of its own faults: the candidate in use (store/levels.h), and where it is not level 0 the entry
  // of the function that is rolled back then, if that could be patched.
  u8 level;
  u8 value_slot;
  bool nothing_helps;  // all candidates have failed, this one least often
  u64 rescue_entry;
  bool rescue_value_set;  // what the user, or a rule, has that function return
  bool rescue_error_set;
  i32 rescue_error_number;
  u64 rescue_value;
  // Further out, while that candidate is not known to stick: in the order in which they are tried.
  u8 outer_count;
  OuterLevel outer[store::max_levels];
  bool rescue_only;  // nothing is known against it: a rescue point for others
  bool chosen;       // by one of them: not just ready for an escalation
  u32 ready_calls;   // it stays so for that many more
  bool stands_in;    // for one of them that could not be patched: what faults inside is its own

  // What it returns is learned (learning.h).
  bool watched_only;  // and nothing else: nothing is healed on its behalf
  i32 watched_cell;   // 1 + its cell; 0: none
  Sampling sampling;
  KnownCall calls_seen[calls_kept];
};

// Nothing is healed on its own behalf.
inline bool is_bystander(const Region& region) {
  return region.watched_only || (region.rescue_only && !region.stands_in);
}

// A process that has called a function so often that was only ready for an escalation leaves it
// alone, until there is news of the store.
inline constexpr u32 most_ready_calls = 10'000;
inline bool is_only_ready(const Region& region) {
  return region.rescue_only && !region.chosen && !region.stands_in;
}

// The innermost activation of `thread` whose faults are to be healed, counted outwards
// (emulator/engine.h); -1: all of them are only watched, or rescue points for others.
i32 ruling_activation(const emulator::Thread& thread);

// The region whose faults they are in that activation. A rescue point may have gone on in it by a
// jump (emulator/nest.h).
Region& ruling_region(const emulator::Thread& thread, u32 outwards);

// What its budget goes by (store/budget.h).
inline u64 budget_key(const Region& region) {
  return region.catalog_id != 0 ? region.catalog_id : region.function.code_hash;
}

// The region a stub's index stands for; only for indices that the patcher handed out.
Region& region_at(u64 index);

// Brings the patches in line with runtime.store.catalog and the options for the modules loaded now:
// adds what is new, takes out what was disabled or forgotten. Starts the engine when there is
// anything to run. Under runtime.changing. False: something stood in the way that will not stay
// there (a thread just being born, another one patching), call again soon.
bool apply_regions(patch::Threads threads);

// Has a breaker opened for what is patched here, or closed for what is not?
bool breakers_changed(u64 now_ns);
// Will one close by itself?
bool breaker_will_close();

// Patches the function at `entry`, which a fault was just blamed on, without the catalog
// (mode=eager). Under runtime.changing.
bool protect_now(u64 entry, u64 code_hash, patch::Threads threads);

// For emulator::Config::region_at and checks_natively.
i32 engine_region_at(u64 address);
bool checks_stack_at_entry(u64 region_index);

}  // namespace selfheal::runtime
