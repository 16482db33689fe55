// One activation of a region, from its stub to wherever the guest goes on.
//
//   stub ─jmp *%fs:enter_target─► enter trampoline ─► run_region ─► leave trampoline ─► guest.rip
//                                                       │
//             checkpoint ► emulator::run ► Stop         ├ returned, left …: commit, go on natively
//                                                       └ fault: heal (heal.h), or commit and let the
//                                                         processor raise it natively, with the true
//                                                         registers, for the fault path to record
//
// Between the two trampolines the guest's vector registers are live in the processor, so this file
// is built with -mgeneral-regs-only. Only healing calls other code: what the guest had in caller-
// saved registers is dead then.
#include "lib/runtime/region_entry.h"

#include "emulator/engine.h"
#include "lib/patch/stubs.h"
#include "lib/runtime/engine_start.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {
namespace {

using emulator::Stop;
using emulator::this_thread;
using emulator::Thread;
using emulator::ThreadState;

// Regions entered while this thread is in the engine, absent from it, or leaving it, run natively.
constinit thread_local void (*enter_target)() = &selfheal_enter_native;

void take_checkpoint(Thread& thread, const Region& region) {
  thread.guest.rip = region.entry;
  thread.entry_sp = thread.guest.gpr[rsp];
  thread.return_address = *pointer_to<const u64>(thread.entry_sp);
  thread.checkpoint = thread.guest;
  asm volatile("stmxcsr %0" : "=m"(thread.checkpoint_mxcsr));
  asm volatile("fnstcw %0" : "=m"(thread.checkpoint_x87_control));
}

void open_entry() { enter_target = pointer_to<void()>(emulator::enter_trampoline()); }
void close_entry() { enter_target = &selfheal_enter_native; }

}  // namespace

i32 enter_target_offset() {
  return static_cast<i32>(address_of(&enter_target) - address_of(__builtin_thread_pointer()));
}

void run_region() {
  Thread& thread = this_thread;
  const Region& region = region_at(thread.region_index);
  close_entry();
  take_checkpoint(thread, region);
  thread.state = ThreadState::running;
  const emulator::Outcome outcome = emulator::run(thread);
  thread.state = ThreadState::native;
  switch (outcome.stop) {
    case Stop::fault:
    case Stop::budget:
      if (!heal(thread, region, outcome)) {
        thread.log.commit();
      }
      break;
    case Stop::log_full:
      note_unprotected(thread, region);
      thread.log.commit();
      break;
    case Stop::returned:
    case Stop::left:
    case Stop::return_mismatch:
    case Stop::unsupported: thread.log.commit(); break;
  }
  thread.state = ThreadState::idle;
  open_entry();
}

bool protect_thread() {
  if (this_thread.state != ThreadState::absent) {
    return true;
  }
  if (!attach_engine_memory()) {
    return false;
  }
  open_entry();
  return true;
}

void unprotect_thread() {
  if (this_thread.state == ThreadState::idle) {
    close_entry();
    emulator::detach_thread();
  }
}

}  // namespace selfheal::runtime
