// The functions that fail in a faulting one's place (docs/levels.md): patched as regions are, and
// named in the Region whose faults they are for.
//
//   catalog entry of f: level 2, frames ──► protect_rescues: the function that frame lies in, g
//        Region of f: rescue_entry = g    ◄── join_rescues, when every module has been seen
//        Region of g: rescue_only, unless something is known against g itself
//
// Those further out that its heals may escalate to (escalation.h) are patched with it, and listed
// in its Region::outer.
#pragma once

#include "lib/runtime/protect.h"

namespace selfheal::runtime {

// A pass over all modules, under runtime.changing: begin, each module, join.
void begin_rescues();
void protect_rescues(const image::Module& module, patch::Threads threads, Wanted& wanted);
void join_rescues();

// The rescue point at `entry` turned out to be none: those that it was for are told so. On the way
// out of a region.
void note_unfit_rescue_point(u64 entry);

}  // namespace selfheal::runtime
