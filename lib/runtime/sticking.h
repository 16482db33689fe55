// Whether heals stick: from a heal to the thread's next blocking call (store/trials.h keeps it),
// but where that finds the same event again (storm.h).
#pragma once

#include "lib/base/record.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

struct HealSetting {
  u64 rolled_back;  // the outermost activation it was made in
  u64 nested_in;    // the one that the thread goes on in, in the engine; 0: none
  bool on_trial;    // that it sticks is news, too
  // The candidate whose function should have failed, and was not on this stack; 0: none.
  u64 stood_in_for;
};

// The thread has just been healed; with a candidate of 0, by nothing that has a score. What was
// healed inside of the activation that is rolled back now did not stick. Signal-safe.
void begin_sticking(const HealRecord& record, const HealSetting& setting);

// What is pending will not be judged. Signal-safe.
void drop_sticking();

// Ordinary context, outside of regions, at a blocking call.
void note_progress_point(probes::BlockingCall call);
// It is made now. True: the next one is to be noted, too.
bool awaits_progress(probes::BlockingCall call);

// `candidate` has failed time and again in the same event (storm.h), is about to once more, and
// there is no other to be tried here: `nothing_helps`, or no native blocking call is ever made at
// which that would be put in use. Signal-safe.
bool gives_up(u64 candidate, bool nothing_helps);

// The heal that is pending in an activation, if it was made in there and that has not ended since.
struct PendingHeal {
  u64 candidate;  // 0: there is none
  u32 repeated;   // heals by the same candidate before it, in the same activation
};
PendingHeal pending_heal_in(u64 activation);

// What the calling thread was healed by, if that is pending, and chosen for stacks like this one: a
// fault is then held against it; 0: nothing. Signal-safe.
u64 pending_candidate();

// The process is about to die of a fault of this thread's. Signal-safe.
void heals_were_no_good();

// They end in good order.
void end_sticking_of_thread();
void end_sticking_of_process();

// In a fork child: the pending heal is its parent's.
void forget_sticking();

// The function cannot be a rescue point: written down for the promoter. Signal-safe.
void record_unfit(u64 candidate);

// The region of catalog entry `id` may decide about access: the same.
void record_access(u64 id);

}  // namespace selfheal::runtime
