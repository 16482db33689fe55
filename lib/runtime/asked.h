// `selfheal run` asks this process what its threads do (lib/base/sample_request.h).
//
//   look              the thread keeps the activations on its stack; of later looks, only those
//   that
//                     are in all of them stay. An activation is a frame's place and its return
//                     address: a function that returned and was called again is another one
//   conclude_busy     the innermost activation that is in all looks has not come back all the time:
//                     it is recorded as the region, if no blocking call was made since the first
//   conclude_waiting  nobody runs: where this thread waits is recorded, and nobody is blamed
//
// Runs in the signal handler on the thread that was asked; no lock, no allocation. A thread that is
// in the engine has budgets of its own and keeps no looks.
#pragma once

#include "lib/base/sample_request.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

void on_asked(const SampleRequest& request, probes::SignalContext& signal);

}  // namespace selfheal::runtime
