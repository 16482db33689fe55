// Watching what functions return (option `learn`, lib/store/learning.h).
//
//   call ─► stub ─► run_region ─┬─ not this time: the native path, as if it were not patched
//                               └─ a sample: run by the engine, which sees it return
//
// A watched function is a region like any other, but nothing is healed on its behalf, and the
// engine runs only some of its calls: all of the first 64 of a period, then as many as keep the
// time spent in the engine below 1/32. Exceptions, longjmp and threads are the engine's business,
// and no return address is ever replaced.
//
// Where a call's result is not used by its caller, what is in rax says nothing and is not counted.
#pragma once

#include "lib/image/module.h"
#include "lib/patch/patcher.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// Is anything to be watched just now?
bool watching_functions();

// Under runtime.changing, once all others have said what they want of this module.
void watch_functions(const image::Module& module, patch::Threads threads, Wanted& wanted);

// On the region path:
// Is this call of a watched function a sample?
bool take_sample(Region& region);
// The engine is through with it.
void end_sample(Region& region);
// `region` was called from `return_address`, and has returned with `value` in rax.
void note_return(Region& region, u64 return_address, u64 value);

}  // namespace selfheal::runtime
