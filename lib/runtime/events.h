// What the program hears of its heals: selfheal_last_event, selfheal_on_event.
//
// A heal happens on the engine's stack, with the guest's registers live, where nothing of the
// application's may run. So it is noted in the thread, and told at its next blocking call.
#pragma once

#include "include/selfheal/selfheal.h"
#include "lib/base/record.h"

namespace selfheal::runtime {

// `region` and `site` are run-time addresses. Signal-safe.
void note_event(const HealRecord& record, u64 region, u64 site);

// Tells the handler of this thread's last event, once. Ordinary context.
void deliver_event();

}  // namespace selfheal::runtime
