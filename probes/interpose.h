// What the interposed functions share with each other.
#pragma once

#include <signal.h>

#include "lib/base/types.h"

namespace selfheal::probes {

// sigaction and sigprocmask as the application means them. change_mask returns an error number.
int change_action(int signal, const struct sigaction* wanted, struct sigaction* before);
int change_mask(int how, const sigset_t* wanted, sigset_t* before);

// The application uses an alternate stack from now on: handlers that asked for it get it.
void release_alternate_stack_flags();

// The process, or this program in it, is about to end (pending.h).
extern "C" __attribute__((visibility("hidden"))) void selfheal_before_end();

}  // namespace selfheal::probes
