// What the probes tell the runtime, and what the runtime may ask of the probes.
//
//   kernel ──signal──► probes ──Hooks──► runtime        probes own the signal machinery and know
//   application ─call─► probes ──Hooks──► runtime        nothing of journals, catalogs or engines
//
// Every hook may be null. Order in which one fatal signal is looked at:
//
//   1. a guarded call (below) of this thread is running: it returns false, nobody else is asked
//   2. thread_fault       synchronous signals only: the engine's own faults, patched int3s
//   3. the application's  its handler runs with the semantics it asked for; `prepare` before it,
//      handler            `commit` when the process then ends because of it
//   4. fault              nobody handled it: record, report; or change the context and resume
//   5. death              same signal, same siginfo, same registers in the core
//
// All hooks of 2-4 run in a signal handler, on the thread's own alternate stack
// (alternate_stack_size below) where it has one; application signals are not blocked. errno is kept
// by the caller.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "lib/base/fault.h"
#include "lib/base/sample_request.h"
#include "lib/base/types.h"

namespace selfheal::probes {

// An interrupted thread. Changing `context` changes what it goes on with when it is resumed.
struct SignalContext {
  int signal;
  siginfo_t* info;
  ucontext_t* context;
  int error_number = 0;  // errno it goes on with
};

enum class Verdict : u8 { die, resume };

struct Frame;

// A signal that somebody sent, and whose handler is about to run above the frame the kernel made.
struct Arrival {
  int signal;
  u64 handler;
  Frame* frame;
  bool alternate_stack;  // the handler asked for it
  bool fatal;            // one of those we handle: `handler` is our own, the application's later
};

// What becomes of what a call waits for.
enum class BlockingCall : u8 {
  takes,  // it is taken away, or there is nothing to be taken (a sleep)
  waits,  // it stays, so that the next such call comes back at once: poll, select, epoll_wait
};

struct Hooks {
  // Also in a vfork child (in_vfork_child), which must not roll back but may step over an int3.
  // A synchronous signal (si_code > 0), before anybody else is asked. True: the context is as
  // wanted, go on with it. Only a thread in the engine, or an int3 of ours, has a reason to say so.
  bool (*thread_fault)(SignalContext&) = nullptr;

  // The timer signal (timer_signal.h). True: a timer of ours has sent it, and the thread goes on;
  // false: it is the application's business.
  bool (*timer)(SignalContext&) = nullptr;

  // Where the handler is to run: `frame` itself, or a copy of it; null: not now. The runtime then
  // has kept the signal, and changed the frame's context to what the thread goes on with. Asked
  // for wrapped handlers (asynchronous.h) and for fatal signals that were sent, in a signal
  // handler, possibly on the engine's stack.
  Frame* (*thread_signal)(const Arrival&) = nullptr;

  // A handler has returned whose frame had kept_handler_return() as its return address: the
  // context to resume. On the handler's stack.
  ucontext_t* (*handler_returned)(ucontext_t*) = nullptr;

  // A jump (longjmp and its kin, setcontext) is about to set rsp to `stack_pointer`; 0: unknown.
  void (*stack_left)(u64 stack_pointer) = nullptr;

  // `selfheal run` asks this thread something (lib/base/sample_request.h).
  void (*asked)(const SampleRequest&, SignalContext&) = nullptr;

  // A fault nobody handles. `die`: the process ends as it would have ended without us.
  Verdict (*fault)(const Fault&, SignalContext&) = nullptr;

  // The application's own handler is about to run. The runtime makes a record ready (in memory of
  // this thread: it is replaced by the thread's next one) and returns a token for it, or null.
  // Most tokens are never heard of again: the handler recovered and there was no fault.
  void* (*prepare)(const Fault&, SignalContext&) = nullptr;

  // The process is ending because of the fault behind `token`: the handler raised the signal again
  // with the default action, left by exit or abort, or faulted itself. At most once for a token,
  // possibly on another thread than the one that prepared it.
  void (*commit)(void* token) = nullptr;

  // Does the process end of the fault behind `token` even if its handler returns? So it is with
  // abort(), which then sets the default action and raises the signal again. Null: never.
  bool (*ends_anyway)(void* token) = nullptr;

  // On the new thread, before its start routine; and when it ends, after nearly all thread-local
  // destructors. Not called for the thread that ran `install`, nor for threads made behind
  // pthread_create's back (raw clone, dlsym(RTLD_NEXT)): those have no alternate stack either.
  void (*thread_started)() = nullptr;
  void (*thread_ending)() = nullptr;

  // A blocking call is about to be made by this thread and the word given to `watch_generation` has
  // a value this thread has not acted upon. True: it has now; false: ask again at the next call.
  // Ordinary context.
  bool (*progress)(BlockingCall) = nullptr;

  // The protection of [begin, end) may have been changed. Any context; errno is of no concern.
  void (*protection_changed)(u64 begin, u64 end) = nullptr;

  // In a child, before fork returns. Not called for vfork.
  void (*fork_child)() = nullptr;

  // _exit, _Exit or quick_exit was called (also in a vfork child): no destructor is going to run.
  void (*process_ending)() = nullptr;

  // A seccomp filter or PR_SET_MDWE is in force from now on: probes/sandbox.h says what is left.
  void (*filter_installed)() = nullptr;
};

// Puts the handlers in place and gives the calling thread its alternate stack. Called once, by the
// constructor, before other threads exist. False: nothing was installed (no memory).
// Beware: a constructor that -z initfirst puts before libc's finds getenv empty and has its
// environment as its third argument (glibc 2.36, csu/init-first.c).
bool install(const Hooks& hooks);

// From now on SIGTRAP is ours as well (entry patches by int3), and stripped from masks.
bool watch_traps();

// What the assertion says that this thread is just failing, where abort_family.cpp had to note it;
// null: nothing.
const char* abort_text();

// Blocking calls load this word and compare it with the value their thread acted upon: three loads
// and one branch. The calling thread has seen the present value; others, and new ones, have not.
// The word must stay readable for ever. Null: stop watching.
void watch_generation(const u64* word);

// The calling thread's next blocking call asks `progress`, whatever it has seen.
void look_again();

// So do those of all threads: something changed in this process that the word does not tell.
void look_again_everywhere();

// Calls this thread has made that wait for the world or get something done there: a thread whose
// count stands still while it burns processor time is only computing.
u64 progress_count();

// This process, or one it was forked from, has accepted a connection (accept), or taken datagrams
// in numbers (recvmmsg).
bool serves();

// Memory of the calling thread's for the runtime's use, zeroed when the thread begins; null for a
// thread we did not see begin. A fork child has a copy of its parent's.
inline constexpr u64 thread_area_size = 3840;
void* thread_area();

// Does the application have a handler of its own for this signal?
bool application_handles(int signal);

// Is its action the default one, for all that the application has asked for?
bool has_default_action(int signal);

// True in a vfork child, which shares its parent's memory: do not record, do not roll back.
bool in_vfork_child();

// Calls function(argument); false when it faulted. Then nothing it held is released: for code that
// reads and computes, such as unwinding a stack that may be corrupt. Any thread, any context,
// nesting allowed.
bool guarded(void (*function)(void*), void* argument);

inline constexpr u64 alternate_stack_size = 64 * 1024;

}  // namespace selfheal::probes
