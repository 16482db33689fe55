// Handlers of the application's for asynchronous signals, entered by way of us.
//
// The engine must not be seen by them: hooks().thread_signal is asked first whether the thread is
// the application's own right now. Only what the kernel has as the handler's address is replaced;
// flags, mask and frame are those the application asked for, and a thread outside of the engine
// goes from our entry straight to its handler, with every register the kernel set.
#pragma once

#include <signal.h>

#include "probes/frame.h"
#include "probes/hooks.h"

namespace selfheal::probes {

// From now on, for handlers set already and for those to come. Until then nothing is touched: a
// process without regions has its handlers entered by the kernel alone. Again is cheap.
void wrap_handlers();

// Handlers are to be wrapped, and this signal's has not been.
bool needs_wrapping(int signal);
// A handler that was not set through us.
void adopt_handler(int signal);

// `wanted` with our entry instead of its handler, if it has one and it is time. Async-signal-safe.
void wrap_handler(int signal, struct sigaction& wanted);
// What the kernel reports, with the handler the application set. To be asked before the next
// wrap_handler for the signal: `handler` is what application_handler said then.
u64 application_handler(int signal);
void unwrap_handler(struct sigaction& reported, u64 handler);

// Is the handler to run on the application's alternate stack?
bool wants_alternate_stack(int signal);

// Starts a handler above `frame`, with the signal mask `mask`; as the kernel would have. By
// rt_sigreturn, so that mask, stack and registers change at once.
[[noreturn]] void start_handler(Frame& frame, int signal, u64 handler, u64 mask);

// Resumes what `context` says.
[[noreturn]] void return_to(ucontext_t& context);

// A frame's return address which has hooks().handler_returned called.
u64 kept_handler_return();

// The kernel's mask of this thread.
u64 current_mask();

// The fewest signals must get through while one waits for its handler: the five fatal ones, and
// libc's own for setuid, for which all threads wait (SIGSETXID, nptl/nptl_setxid.c).
u64 all_but_urgent_signals();

}  // namespace selfheal::probes
