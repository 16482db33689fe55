// Asynchronous signals while a thread is in the engine: what they find, and how the activation is
// brought to a point where the application's handler may see it.
//
// A handler must see the application's context, never ours: between two of its instructions. So
// a signal that finds the engine at work waits for the next edge of a block, a few dozen
// instructions away; run() then returns Stop::signal, with guest.rip at the instruction that comes
// next. (DynamoRIO delays signals in the same way: "Efficient, Transparent, and Comprehensive
// Runtime Code Manipulation", Bruening 2004, section 5.3.)
//
// All of it is for signal handlers on the thread itself.
#pragma once

#include <ucontext.h>

#include "emulator/thread.h"

namespace selfheal::emulator {

enum class Interrupted : u8 {
  application,  // code of the application's, also that of a handler above a suspended activation
  engine,       // ours: the signal has to wait, see stop_for_signal()
  native_call,  // a library's code which a model calls; the guest is at that function's entry
  leaving,  // the guest is complete in thread.guest and the vector registers, and on its way out
};

Interrupted what_was_interrupted(const Thread& thread, const ucontext_t& context);

// From Interrupted::engine: run() will return Stop::signal, or the leave trampoline call `deliver`.
// A system call that has not begun, or would be restarted, is put off.
void stop_for_signal(Thread& thread, ucontext_t& context);

// The activation shall end with Stop::budget, at the next edge of a block.
void stop_for_budget(Thread& thread, ucontext_t& context);

// The time budget has run out during a system call: it is put off in the same way, and fails with
// EINTR if it has begun; thread.time_is_up tells why.
void stop_for_time(Thread& thread, ucontext_t& context);

}  // namespace selfheal::emulator
