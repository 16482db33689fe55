// One activation of a region, from its stub to wherever the guest goes on.
//
//   stub ─jmp *%fs:enter_target─► enter trampoline ─► run_region ─► leave trampoline ─► guest.rip
//                                                       │
//             checkpoint ► emulator::run ► Stop         ├ returned, left …: commit, go on natively
//                                                       ├ signal: its handler runs (signals.h),
//                                                       │   then resume_region
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
#include "lib/runtime/fail_stop.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/learning.h"
#include "lib/runtime/loop_budget.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/rescue_points.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/signal_area.h"
#include "lib/runtime/signals.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

using emulator::Stop;
using emulator::this_thread;
using emulator::Thread;
using emulator::ThreadState;

using Code = void (*)();
constinit thread_local Code enter_target = &selfheal_enter_native;

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
bool heal_or_keep(Thread& thread, const emulator::Outcome& outcome, VectorResult& result) {
  const emulator::VectorScope keep;
  return heal(thread, outcome, result);
}

void note_service_loop(Thread& thread, const Region& region) {
  const emulator::VectorScope keep;
  thread.serves = false;
  note_unfit_rescue_point(region.entry);
}

Region& outermost_region(const Thread& thread) {
  return region_at(emulator::region_at_level(thread, emulator::nesting(thread)));
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

void go_on_healed(const Thread& thread, const VectorResult& result) {
  restore_float_control(thread);
  if (result.set) {
    asm volatile("movq %0, %%xmm0" : : "r"(result.low));
  }
}

// The processor takes over at the instruction where the engine stopped, which may be the very
// first.
void go_native(Thread& thread) {
  thread.log.commit();
  thread.guest.rip = runtime.patcher.native_address(thread.guest.rip);
}

// For a handler's frame, which the guest's vector registers go back from (XSAVE, standard format;
// the components are those the kernel saved: software bytes, <asm/sigcontext.h>).
void keep_vectors(const Thread& thread) {
  constexpr u64 features_offset = 472;
  const u64 area = signal_area_of(thread).vectors;
  const u64 features = *pointer_to<const u64>(area + features_offset);
  asm volatile("xsave64 (%0)"
               :
               : "r"(area), "a"(static_cast<u32>(features)), "d"(static_cast<u32>(features >> 32))
               : "memory");
}

// Threads may take the same one.
bool take_ready_call(Region& region) {
  const u32 left = __atomic_load_n(&region.ready_calls, __ATOMIC_RELAXED);
  if (left != 0) {
    __atomic_store_n(&region.ready_calls, left - 1, __ATOMIC_RELAXED);
  }
  return left != 0;
}

// Whose faults the innermost ones are.
const Region& ruling_or(const Thread& thread, const Region& outermost) {
  const i32 ruling = ruling_activation(thread);
  return ruling < 0 ? outermost : ruling_region(thread, static_cast<u32>(ruling));
}

// What becomes of an activation that emulator::run has come back from. False: an inner region was
// healed, and the guest is to go on in the one around it.
bool finish(Thread& thread, Region& region, const emulator::Outcome& outcome) {
  if (outcome.stop == Stop::signal && !signal_area_of(thread).fatal) {
    keep_vectors(thread);
    run_kept_handler(thread, true);
  }
  count_run(thread, outcome);
  switch (outcome.stop) {
    case Stop::fault:
    case Stop::budget:
      if (VectorResult result = {}; heal_or_keep(thread, outcome, result)) {
        go_on_healed(thread, result);
        if (emulator::nesting(thread) != 0) {
          return false;
        }
      } else if (outcome.stop == Stop::fault && must_stop(thread.fault.kind) &&
                 ruling_activation(thread) >= 0) {
        thread.log.commit();
        thread.guest.rip = fail_stop_address();
      } else {
        go_native(thread);
      }
      break;
    case Stop::log_full:
      if (VectorResult result = {}; looks_endless(outcome, ruling_or(thread, region)) &&
                                    heal_or_keep(thread, outcome, result)) {
        go_on_healed(thread, result);
        if (emulator::nesting(thread) != 0) {
          return false;
        }
        break;
      }
      if (!region.watched_only) {
        note_overflow(thread, region);
      }
      go_native(thread);
      break;
    case Stop::return_mismatch:
    case Stop::unsupported:
    case Stop::signal:
      if (thread.serves) {
        note_service_loop(thread, region);
      }
      go_native(thread);
      break;
    case Stop::returned:
      note_return(region, thread.return_address, thread.guest.gpr[rax]);
      [[fallthrough]];
    case Stop::left:
      learn_from(outcome, region);
      thread.log.commit();
      break;
  }
  if (region.watched_only) {
    end_sample(region);
  }
  set_entry(Entry::open);
  return true;
}

void go_on(Thread& thread, Region& region, emulator::Outcome outcome) {
  while (!finish(thread, region, outcome)) {
    outcome = emulator::go_on_nested(thread);
  }
}

}  // namespace

i32 enter_target_offset() {
  return static_cast<i32>(address_of(&enter_target) - address_of(__builtin_thread_pointer()));
}

void run_region() {
  Thread& thread = this_thread;
  Region& region = region_at(thread.region_index);
  const u64 entry = runtime.patcher.entry(static_cast<u32>(thread.region_index));
  // Its cell is being filled; or the engine's state is our parent's, which waits for us.
  if (__atomic_load_n(&region.entry, __ATOMIC_ACQUIRE) != entry || probes::in_vfork_child()) {
    thread.guest.rip = runtime.patcher.native_path(static_cast<u32>(thread.region_index));
    return;
  }
  if ((region.watched_only && !take_sample(region)) ||
      (is_only_ready(region) && !take_ready_call(region))) {
    thread.guest.rip = runtime.patcher.native_path(static_cast<u32>(thread.region_index));
    return;
  }
  end_abandoned(thread);
  count_call();
  set_entry(Entry::closed);
  take_checkpoint(thread, region);
  give_budget(thread, region);
  thread.is_rescue_point = region.rescue_only || region.watched_only;
  thread.serves = false;
  go_on(thread, region, emulator::run(thread));
}

void resume_region() {
  Thread& thread = this_thread;
  thread.suspension.low = 0;
  thread.suspension.span = 0;
  go_on(thread, outermost_region(thread), emulator::resume(thread));
}

void deliver_signal() {
  keep_vectors(this_thread);
  run_kept_handler(this_thread, false);
}

void set_entry(Entry entry) {
  switch (entry) {
    case Entry::closed:
      enter_target = &selfheal_enter_native;
      break;
    case Entry::open:
      enter_target = pointer_to<void()>(emulator::enter_trampoline());
      break;
    case Entry::suspended:
      enter_target = pointer_to<void()>(emulator::suspended_trampoline());
      break;
  }
}

void end_abandoned(Thread& thread) {
  if (thread.suspension.span != 0) [[unlikely]] {
    thread.suspension.low = 0;
    thread.suspension.span = 0;
    thread.log.commit();
  }
}

bool protect_thread() {
  if (this_thread.state != ThreadState::absent) {
    return true;
  }
  if (!attach_engine_memory()) {
    return false;
  }
  choose_count_cell();
  set_entry(Entry::open);
  return true;
}

// A thread that ends outside of the idle state was cancelled, or ended by a handler, above an
// activation that nobody will return to; unless it is the engine itself that calls us.
void unprotect_thread() {
  Thread& thread = this_thread;
  const u64 here = address_of(__builtin_frame_address(0));
  if (thread.state == ThreadState::absent || here - thread.memory < thread.memory_size) {
    return;
  }
  thread.state = ThreadState::idle;
  set_entry(Entry::closed);
  thread.suspension = {};
  thread.log.commit();
  emulator::detach_thread();
}

}  // namespace selfheal::runtime
