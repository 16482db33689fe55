// How long one call of a region may take that was found looping before.
//
// Its calls that come to an end are measured, in instructions; the budget is 16 times the longest,
// and at least the option hang-instructions, halved for each doubling of the number of calls that
// ended, down to a 32nd: a request that hangs is refused within milliseconds by a function that is
// called often, and one that is called for the first time may take its time. Learned numbers live
// in the region's cell, so in this process and the children it forks: nothing is taken from the
// journal, which workers may write anything to. A number in the catalog (`selfheal set --budget`)
// is used instead of both.
//
// Beside instructions, the call's ticks of processor time are counted (hang-seconds), for loops
// whose time goes by in what the engine calls natively; and the memory it takes (growth-megabytes).
#pragma once

#include <ucontext.h>

#include "emulator/engine.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// An activation begins: its budget.
void give_budget(emulator::Thread& thread, const Region& region);

// It has come to an end.
void learn_from(const emulator::Outcome& outcome, Region& region);

// The same of a region that another one called: emulator::Config::nested_limit, nested_ended.
u64 nested_limit(u64 region_index);
void nested_ended(u64 region_index, u64 instructions);

// The undo log is full. Of a region that loops that is the loop, if its calls so far needed far
// fewer instructions: it can be rolled back now, but never again after the commit.
bool looks_endless(const emulator::Outcome& outcome, const Region& region);

// A tick, in a signal handler. What did it find?
enum class Ticked : u8 {
  application,  // the application's own code
  region,       // a region's call, which is dealt with here
  new_call,     // a region's call, another one than at the last tick: its caller may be looping;
                // `registers` are its caller's
};
Ticked tick(ucontext_t& context, u64 interval_ns, Registers& registers);

}  // namespace selfheal::runtime
