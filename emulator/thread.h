// The engine's state of one thread, and the way in and out of a region.
//
//   caller (native)                          engine (own stack, guest's registers in `guest`)
//   ───────────────                          ─────────────────────────────────────────────
//   call R ──► R: jmp stub
//              stub: push index
//                    jmp *%fs:enter_target ──► enter trampoline: GPRs, flags → guest; switch stack
//                                                └► run_region(): checkpoint, interpret, decide
//   R's caller, or wherever the guest is  ◄────── leave trampoline: guest → GPRs, flags; jmp
//   *%fs:rip
//
// Vector, mask, x87 registers and MXCSR are not part of `guest`: they stay live in the processor
// while the engine runs, which is therefore built with -mgeneral-regs-only. Generated code reaches
// this struct as %fs:constant: it lies in the static TLS block, at the same distance from every
// thread's pointer (ELF TLS, initial-exec model), and the guest's FS base is never changed.
#pragma once

#include "emulator/held_output.h"
#include "emulator/undo_log.h"
#include "lib/base/fault.h"
#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal::emulator {

// Where the engine goes on after a guest access faulted: its own callee-saved registers.
struct Escape {
  u64 rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

// The stack of a signal handler that runs while the activation waits (state suspended). A call of a
// region from outside of it shows that the handler has been left by a jump or an exception.
struct Suspension {
  u64 low;   // lowest address of the stack the handler runs on
  u64 span;  // from there to its signal frame
};

enum class ThreadState : u8 {
  absent,     // no engine memory: regions run natively
  idle,       // ready to enter a region
  busy,       // on the engine's own business, between the trampolines
  running,    // interpreting guest code
  native,     // inside a modelled or native call for the guest: a fault there is not the guest's
  suspended,  // a signal handler of the application's runs natively, the activation waits for it
};

struct Thread {
  Registers guest;
  u64 host_sp;       // a thunk's way back to the engine's stack
  u64 stack_top;     // of the engine's stack, 16-byte aligned
  u64 region_index;  // what the stub pushed
  // Addresses of the runtime's functions which the trampolines call: see Config.
  u64 run;
  u64 resume;
  u64 deliver;
  ThreadState state;
  bool signal_waits;     // to be delivered before the next block: interrupt.h
  bool time_is_up;       // a system call that waits has been cut short: budget.cpp
  bool escaped;          // set by take_fault
  u64 entry_sp;          // guest rsp at region entry: [entry_sp] holds the return address
  u64 return_address;    // as it was at entry
  bool is_rescue_point;  // of others' faults: may it be one? See serving.h
  bool serves;           // it may not
  Registers checkpoint;  // of the region's entry
  u32 checkpoint_mxcsr;
  u16 checkpoint_x87_control;
  Escape escape;
  Fault fault;  // what take_fault or an explicit check saw
  Suspension suspension;
  UndoLog log;
  HeldOutput output;
  u64 instruction_limit;  // of the activation; 0: none
  u64 activation;         // counts them
  u32 ticks;              // of processor time, in the activation (the runtime's)
  bool over_budget;       // set by stop_for_budget
  u64 memory;             // one mapping: engine stack, undo log, scratch block, vector save area
  u64 memory_size;
  // System calls of the guest's, ever, that took something from outside, and that only waited.
  u64 taken;
  u64 waited;
  void* scratch;    // the interpreter's own per-thread data
  u64 signal_area;  // the runtime's, Config::signal_area_size bytes, 64-byte aligned
};

// The calling thread's. Zero-initialised: state absent.
extern thread_local constinit Thread this_thread;

// Distance of this_thread from the thread pointer: the %fs displacement of its first byte.
i32 thread_offset();

// Maps the engine's memory of the calling thread and makes it idle. False: regions run natively on
// this thread. Not for signal handlers. `log_size` in bytes.
bool attach_thread(u64 log_size);
// Gives the memory back. The thread must not be inside a region.
void detach_thread();

}  // namespace selfheal::emulator
