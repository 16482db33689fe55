// One activation of a region, from its stub to wherever the guest goes on.
//
//   stub ─jmp *%fs:enter_target─► enter trampoline ─► run_region ─► leave trampoline ─► guest.rip
//                                                       │
//             checkpoint ► emulator::run ► Stop         ├ returned, left …: commit, go on natively
//                                                       └ fault: heal (heal.h), or commit and let
//                                                       the
//                                                         processor raise it natively, with the
//                                                         true registers, for the fault path to
//                                                         record
//
// Between the two trampolines the guest's vector registers are live in the processor, so this file
// is built with -mgeneral-regs-only, and keeps them around the few calls of code that is not.
#include "lib/runtime/region_entry.h"

#include "emulator/engine.h"
#include "emulator/guard.h"
#include "lib/patch/stubs.h"
#include "lib/runtime/counts.h"
#include "lib/runtime/engine_start.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using emulator::Stop;
using emulator::this_thread;
using emulator::Thread;
using emulator::ThreadState;

// Regions entered while this thread is in the engine, absent from it, or leaving it, run natively.
using Entry = void (*)();
constinit thread_local Entry enter_target = &selfheal_enter_native;

void take_checkpoint(Thread& thread, const Region& region) {
  thread.guest.rip = region.entry;
  thread.entry_sp = thread.guest.gpr[rsp];
  thread.return_address = *pointer_to<const u64>(thread.entry_sp);
  copy_registers(thread.checkpoint, thread.guest);
  asm volatile("stmxcsr %0" : "=m"(thread.checkpoint_mxcsr));
  asm volatile("fnstcw %0" : "=m"(thread.checkpoint_x87_control));
}

// A fault that is not healed goes back to the processor with the guest's vector registers as they
// were, so what decides about it must not cost them.
bool heal_or_keep(Thread& thread, const Region& region, const emulator::Outcome& outcome) {
  const emulator::VectorScope keep;
  return heal(thread, region, outcome);
}

void note_overflow(Thread& thread, Region& region) {
  const emulator::VectorScope keep;
  note_unprotected(thread, region);
}

// What the caller may rely on besides its general registers (System V ABI, 3.2.1).
void restore_float_control(const Thread& thread) {
  asm volatile("fnclex\n\temms\n\tfldcw %0" : : "m"(thread.checkpoint_x87_control));
  asm volatile("ldmxcsr %0" : : "m"(thread.checkpoint_mxcsr));
}

// The processor takes over at the instruction where the engine stopped, which may be the very
// first.
void go_native(Thread& thread) {
  thread.log.commit();
  thread.guest.rip = runtime.patcher.native_address(thread.guest.rip);
}

void open_entry() {
  enter_target = reinterpret_cast<Entry>(emulator::enter_trampoline());
}
void close_entry() {
  enter_target = &selfheal_enter_native;
}

}  // namespace

i32 enter_target_offset() {
  return static_cast<i32>(address_of(&enter_target) - address_of(__builtin_thread_pointer()));
}

void run_region() {
  Thread& thread = this_thread;
  Region& region = region_at(thread.region_index);
  const u64 entry = runtime.patcher.entry(static_cast<u32>(thread.region_index));
  if (__atomic_load_n(&region.entry, __ATOMIC_ACQUIRE) != entry) {  // its cell is being filled
    thread.guest.rip = runtime.patcher.native_path(static_cast<u32>(thread.region_index));
    return;
  }
  count_call();
  close_entry();
  take_checkpoint(thread, region);
  thread.state = ThreadState::running;
  const emulator::Outcome outcome = emulator::run(thread);
  count_run(thread, outcome);
  thread.state = ThreadState::native;
  switch (outcome.stop) {
    case Stop::fault:
    case Stop::budget:
      if (heal_or_keep(thread, region, outcome)) {
        restore_float_control(thread);
      } else {
        go_native(thread);
      }
      break;
    case Stop::log_full:
      note_overflow(thread, region);
      go_native(thread);
      break;
    case Stop::return_mismatch:
    case Stop::unsupported:
      go_native(thread);
      break;
    case Stop::returned:
    case Stop::left:
      thread.log.commit();
      break;
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
  choose_count_cell();
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
