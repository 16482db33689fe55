// Did this thread send itself the signal it got, by raise, abort or kill? Then the signal says
// something about the code that was interrupted; a signal from anybody else (a watchdog, another
// thread of the process) finds a thread anywhere.
#pragma once

#include <signal.h>
#include <ucontext.h>

namespace selfheal::probes {

// Exact but for a coincidence: the thread was interrupted right behind a system call that succeeded
// and whose arguments, which the kernel leaves in their registers, are those of kill, tkill, tgkill
// or their queueing kin with this signal. In a signal handler.
bool sent_by_itself(const siginfo_t& info, const ucontext_t& context);

}  // namespace selfheal::probes
