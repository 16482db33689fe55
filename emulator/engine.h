// The engine's interface to the runtime: set it up, run one activation of a region, take a fault.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "emulator/thread.h"

namespace selfheal::emulator {

// Why an activation ended. In every case `thread.guest` is exact: loading it into the processor and
// jumping to guest.rip continues the program as if it had never been in the engine.
enum class Stop : u8 {
  returned,  // the region returned to its caller
  left,      // control went elsewhere: longjmp, an exception's landing pad, another stack
  fault,  // guest.rip is the faulting instruction, nothing of it has happened; thread.fault tells
  return_mismatch,  // the return address on the stack is not the one at entry
  unsupported,      // guest.rip is an instruction, or a call, that must run natively
  log_full,         // the undo log cannot take what the instruction at guest.rip writes
  budget,           // the instruction budget or, as `reason` says, the time budget is used up
  signal,           // thread.signal_waits: deliver it at guest.rip, then resume()
};

struct Outcome {
  Stop stop;
  u64 instructions;    // interpreted in this activation
  const char* reason;  // for unsupported: a constant string that says what
};

// What lies at a code address.
enum class CodeKind : u8 {
  none,        // nothing the processor would execute, or nothing known: run natively
  stable,      // a module's text: changes are announced through forget_code
  may_change,  // executable memory that the program may write (JIT, trampolines on the stack):
               // its bytes are compared before each execution
};

// What the engine asks of its surroundings. All may be called at any point of a region's run.
struct Config {
  // In `size` bytes that were read at `address`, puts back those that our own patches changed.
  void (*restore_originals)(u64 address, u8* bytes, u64 size);
  // What kind of code is at `address`? Conservative. Asked when code is decoded, and when
  // code_moved() was called, by one thread at a time.
  CodeKind (*code_kind)(u64 address);
  // Is this code of libselfheal that is not to be interpreted? Then it is a function's entry, and
  // called natively. Asked when code is decoded only.
  bool (*native_text)(u64 address);
  // Is this text of a module? Any thread, at any time.
  bool (*is_text)(u64 address);
  // Is this memory surely not executable? May take system calls. Null: never known.
  bool (*is_data)(u64 address);
  // The guest has changed the protection of [begin, end). Null: of no interest.
  void (*protection_changed)(u64 begin, u64 end);
  // The index of the region whose entry is at `address`; -1: none. Asked when code is decoded, so
  // forget_code where that changes.
  i32 (*region_at)(u64 address);
  // Its entry is no way into the engine, but checks the stack: an activation that is there for
  // others' faults only goes on natively. Null: none does.
  bool (*checks_natively)(u64 region_index);
  // A region that was called inside of another one: its instruction budget (0: what the other one
  // has left; it may be more than that), and how many
  // instructions it took. On the region path.
  u64 (*nested_limit)(u64 region_index);
  void (*nested_ended)(u64 region_index, u64 instructions);
  // Where the rseq_cs field of a thread's registered struct rseq is, from its thread pointer; 0:
  // nowhere (see rseq(2)).
  u64 rseq_cs_offset;
  u64 code_size;           // bytes of generated code
  u64 block_memory;        // bytes of decoded blocks
  u64 instruction_budget;  // per activation; 0: none
  u64 time_budget;         // per activation, in nanoseconds of `clock`; 0: none
  u64 (*clock)();
  // Around a system call that may wait: from `deadline` on, has stop_for_time (interrupt.h) called
  // again and again until end_wait.
  void (*begin_wait)(u64 deadline);
  void (*end_wait)();
  u64 signal_area_size;  // bytes a thread has at Thread::signal_area
  u64 native_entry;      // what a stub may jump to instead of the enter trampoline
  // The runtime's functions that the trampolines call, on the engine's stack (see thread.h):
  void (*run)();      // a region was entered
  void (*resume)();   // a signal handler has returned to the activation; thread.guest is set
  void (*deliver)();  // about to leave, but a signal waits; does not return
};

// Once per process, before any thread attaches. False: no engine (the reason in `why`).
bool start(const Config& config, const char*& why);
bool started();

// Address to put into the thread-local `enter_target` of threads that may enter the engine.
u64 enter_trampoline();

// Address to put there while a signal handler runs above a suspended activation: regions run
// natively, unless the handler turns out to have been left.
u64 suspended_trampoline();

// Where to send a thread, with rsp = thread.stack_top, for the runtime's `resume` to be called.
u64 resume_trampoline();

// Interprets from thread.guest until something of Stop happens. The caller has filled entry_sp,
// return_address and attached the log. Runs on the engine's stack, the guest's vectors live.
Outcome run(Thread& thread);

// The same for an activation that had stopped with Stop::signal, and whose guest may have been
// changed since.
Outcome resume(Thread& thread);

// The activations that a stopped one is in (nest.h), counted outwards: 0 is the innermost, and
// nesting() the outermost.
u32 nesting(const Thread& thread);
u64 region_at_level(const Thread& thread, u32 outwards);
// The region whose function that activation's has gone on in by a jump; else the same.
u64 come_to_at_level(const Thread& thread, u32 outwards);
struct CallState {
  const Registers* checkpoint;
  u64 return_address;
};
CallState call_at_level(const Thread& thread, u32 outwards);

// Takes back all that the activation did, and those inside of it, which are over then; the budgets
// of those around it are as if it had not run. `thread` has its checkpoint; the caller decides
// where the guest goes on.
RollbackResult roll_back(Thread& thread, u32 outwards);

// The innermost activation and the `outwards` around it may interpret `instructions` more,
// together, whatever their limits were.
void limit_from_here(Thread& thread, u64 instructions, u32 outwards);

// The guest stands behind an activation that was rolled back, and that is inside of another one:
// that one goes on.
Outcome go_on_nested(Thread& thread);

// Interpreted so far in the calling thread's activation; 0 outside one.
u64 instructions_so_far();

// From a signal handler: is this fault the guest's, of the thread's current activation? Then fills
// thread.fault, and changes `context` so that resuming it makes run() return Stop::fault; true.
bool take_fault(int signal, const siginfo_t& info, ucontext_t& context);

// Jumps out of the signal handler to the same place without resuming `context`: needs no
// rt_sigreturn. Only after take_fault said yes.
[[noreturn]] void resume_without_sigreturn(const ucontext_t& context);

// Code at [begin, end) is gone, changed, or of another kind now: decoded blocks of it are dropped.
// Walks all blocks.
void forget_code(u64 begin, u64 end);

// Memory outside of module text may have ceased to be executable: its kind is asked again before
// code there runs on. Cheap.
void code_moved();

// In a fork child: private copies of what the mappings share. The engine finds out by itself when
// it has to decode something; calling it (more than once, too) saves time or comes before a
// sandbox.
bool after_fork();

}  // namespace selfheal::emulator
