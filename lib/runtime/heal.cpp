// A fault in a region: whose is it, may it be healed, and with what? Then all is rolled back, and
// the call ends as if the function had failed (healed_end.h).
#include "lib/runtime/heal.h"

#include <atomic>
#include <signal.h>
#include <unistd.h>

#include "lib/recover/abort_story.h"
#include "lib/recover/diagnose.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/escalation.h"
#include "lib/runtime/events.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/healed_end.h"
#include "lib/runtime/heap_probe.h"
#include "lib/runtime/return_choice.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_bounds.h"
#include "lib/runtime/sticking.h"
#include "lib/runtime/symbolize.h"
#include "lib/store/levels.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

using emulator::Outcome;
using emulator::Stop;
using emulator::Thread;
using recover::Return;

constinit thread_local u64 fault_stamp = 0;

// A fault that was foreseen has no signal; the stamp is then of an earlier one, which a model
// survived.
u64 begin_of(const Fault& fault) {
  return fault.signal != 0 && fault_stamp != 0 ? fault_stamp : monotonic_ns();
}

int signal_of(const Fault& fault) {
  if (fault.signal != 0) {
    return fault.signal;
  }
  switch (fault.kind) {  // seen by a check, before the processor did
    case FaultKind::null_access:
    case FaultKind::wild_access:
    case FaultKind::exec_violation:
    case FaultKind::heap_overflow:
    case FaultKind::use_after_free:
      return SIGSEGV;
    case FaultKind::divide:
      return SIGFPE;
    case FaultKind::illegal_instruction:
      return SIGILL;
    default:
      return is_abort(fault.kind) ? SIGABRT : 0;
  }
}

// The budget is not that of the region, but of a call around it that is only looked at, or there
// for others' faults, and says nothing of what goes on inside.
bool is_long_enough(const Thread& thread, const Outcome& outcome, const Region& region) {
  const Region& outermost = region_at(emulator::region_at_level(thread, emulator::nesting(thread)));
  return outcome.stop == Stop::budget && !region.loops && is_bystander(outermost) &&
         outcome.instructions >= thread.instruction_limit;
}

// The guest stands at the entry of abort() or the like: what counts is who called it.
u64 site_of(const Thread& thread) {
  return is_abort(thread.fault.kind) ? thread.fault.registers.rip : thread.guest.rip;
}

// Nothing was ever wrong with this region, and the application deals with such signals itself: for
// a virtual machine's null checks, say, they are no fault at all.
bool is_the_application_s(const Fault& fault, const Region& region) {
  const int signal = signal_of(fault);
  return region.catalog_id == 0 && signal != 0 && probes::application_handles(signal);
}

// A loop that does not end, as a fault of its own.
void note_time_out(Thread& thread) {
  clear_fault(thread.fault);
  thread.fault.kind = FaultKind::time_out;
  thread.fault.registers = thread.guest;
}

// The engine sees the access only. Next to the guest's stack pointer it is the end of the stack.
void note_exhaustion(Fault& fault) {
  if (fault.kind == FaultKind::wild_access && next_to_stack_pointer(fault)) {
    fault.kind = FaultKind::stack_exhaustion;
  }
}

// What the signal did not say of a fault, the instruction does (refine.cpp). A page fault says all.
void refine_fault(Thread& thread) {
  constexpr u8 page_fault = 14;
  if (thread.fault.signal == 0 || thread.fault.trap == page_fault) {
    return;
  }
  u8 bytes[15];
  const recover::ImageView& image = recover::live_image();
  const u64 size = image.read_code(image.context, thread.guest.rip, bytes, sizeof bytes);
  thread.fault = recover::refine(thread.fault, {bytes, size});
}

// For a staged roll-out: `percent` of the faults, evenly spread (multiples of the golden ratio).
bool drawn(u8 percent) {
  static constinit std::atomic<u64> faults{0};
  const u64 spread = faults.fetch_add(1) * 0x9e37'79b9'7f4a'7c15;
  return percent >= 100 || (spread >> 32) * 100 >> 32 < percent;
}

bool may_heal(const Thread& thread, const Region& region, u64 candidate) {
  if (!runtime.heals_faults() || region.policy != store::Policy::heal || probes::in_vfork_child()) {
    return false;
  }
  const FaultKind kind = thread.fault.kind;
  const bool may_be = healable(kind) || (region.heals_integrity && is_integrity(kind));
  if (!may_be || !drawn(region.percent)) {
    drop_sticking();  // that this one is not healed says nothing about the last
    return false;
  }
  if (gives_up(candidate, region.nothing_helps)) {
    return false;  // whoever starts it again is told sooner than by a process that goes in circles
  }
  return may_spend(budget_key(region), thread.fault, realtime_ns());
}

// Which activation is rolled back, on behalf of which region.
struct RescuePoint {
  const Region* region;  // the function that returns an error
  u32 outwards;          // its activation
  u64 catalog_id;        // whose fault it is; 0: nothing was known of it
  store::Candidate candidate;
  const Region* chosen_by = nullptr;  // the region whose faults it is for, where it is another
};

// The function that the catalog has chosen, if it is there: the stack may be another one this time.
// Then the faulting region itself returns what seems best.
RescuePoint rescue_point_of(const Thread& thread, const Region& region, u32 ruling) {
  const u64 wanted = __atomic_load_n(&region.rescue_entry, __ATOMIC_ACQUIRE);
  for (u32 i = ruling; wanted != 0 && i <= emulator::nesting(thread); ++i) {
    const Region& outer = region_at(emulator::region_at_level(thread, i));
    if (outer.entry == wanted) {
      return {&outer,
              i,
              region.catalog_id,
              {region.level, static_cast<store::ValueSlot>(region.value_slot)},
              &region};
    }
  }
  const u8 slot = region.level == 0 ? region.value_slot : 0;
  // Jumped to, it returns to the caller of the function that jumped, and its arguments are not
  // known any more: that function returns its error for both.
  const Region& own = region_at(emulator::region_at_level(thread, ruling));
  const Region* const fails = region.value_set ? &region : &own;
  return {fails, ruling, region.catalog_id, {0, static_cast<store::ValueSlot>(slot)}};
}

RescuePoint further_out(const Escalated& further) {
  return {further.fails,
          further.outwards,
          further.of->catalog_id,
          {further.level, store::ValueSlot::best}};
}

// The candidate in use, where another one has to do, as its function is not running.
u64 stands_in_for(const RescuePoint& point, const Region& region) {
  const store::Candidate chosen{region.level, static_cast<store::ValueSlot>(region.value_slot)};
  return point.candidate.level < region.level ? store::candidate_key(region.catalog_id, chosen) : 0;
}

struct Attribution {
  const Region* region;  // whose fault it is, and by whose rules; null: nobody's
  RescuePoint point;     // who fails for it
};

Attribution attribute(const Thread& thread, const Outcome& outcome) {
  const i32 ruling = ruling_activation(thread);
  if (const Escalated further = escalate(thread, ruling); further.any()) {
    return {further.of, further_out(further)};
  }
  if (ruling < 0) {
    return {};
  }
  const u32 inner = static_cast<u32>(ruling);
  const Region& region = ruling_region(thread, inner);
  return is_long_enough(thread, outcome, region)
             ? Attribution{}
             : Attribution{&region, rescue_point_of(thread, region, inner)};
}

Return value_at(const Thread& thread, const RescuePoint& point) {
  const emulator::CallState call = emulator::call_at_level(thread, point.outwards);
  const Return best =
      choose_return(*call.checkpoint, call.return_address, thread.fault.kind, *point.region);
  const i32 error_number = best.in_rax.error_number;
  const Region* const by = point.chosen_by;
  Return value = best;
  if (by != nullptr && by->rescue_value_set) {
    value = {};
    value.in_rax = {by->rescue_value, ValueReason::policy, error_number};
  }
  if (by != nullptr && by->rescue_error_set) {
    value.in_rax.error_number = by->rescue_error_number;
  }
  if (value.in_rax.reason != ValueReason::policy &&
      point.candidate.slot != store::ValueSlot::best) {
    const u64 tried = point.candidate.slot == store::ValueSlot::zero ? 0 : ~u64{0};
    value = {};
    value.in_rax = {tried, ValueReason::tried, error_number};
  }
  return value;
}

void describe(const Thread& thread, const RescuePoint& point, u64 site, HealRecord& record) {
  const Region& region = *point.region;
  forget_modules();
  record.time_ns = realtime_ns();
  record.pid = static_cast<u32>(getpid());
  record.tid = static_cast<u32>(gettid());
  record.fault = thread.fault;
  record.modules[0] = region.module;
  record.module_count = 1;
  record.region = region.function;
  record.site = refer(record, site);
  record.return_address =
      refer(record, emulator::call_at_level(thread, point.outwards).return_address);
  record.level = point.candidate.level;
  record.candidate =
      point.catalog_id == 0 ? 0 : store::candidate_key(point.catalog_id, point.candidate);
  record.irrevocable = thread.log.irrevocable();
  for (unsigned i = 0; i < std::size(record.irrevocable_calls); ++i) {
    record.irrevocable_calls[i] = thread.log.irrevocable_calls()[i];
  }
}

}  // namespace

void stamp_fault() {
  fault_stamp = monotonic_ns();
}

bool heal(Thread& thread, const Outcome& outcome, VectorResult& vector) {
  const auto [whose, point] = attribute(thread, outcome);
  if (whose == nullptr) {
    return false;
  }
  const Region& region = *whose;
  if (outcome.stop == Stop::budget || outcome.stop == Stop::log_full) {
    note_time_out(thread);
  }
  name_heap_fault(thread.fault);
  note_exhaustion(thread.fault);
  refine_fault(thread);
  const u64 begin = begin_of(thread.fault);
  if (is_the_application_s(thread.fault, region)) {
    return false;
  }
  const u64 site = thread.guest.rip;
  HealRecord record{};
  describe(thread, point, site_of(thread), record);
  if (!may_heal(thread, region, record.candidate)) {
    record.outcome = HealOutcome::left_to_die;
    runtime.left_to_die.fetch_add(1);
    write_down(record);
    note_event(record, region.entry, site);
    return false;
  }
  const Return value = value_at(thread, point);
  if (region.simulate) {
    note_value(value, record);
    record.outcome = HealOutcome::simulated;
    write_down(record);
    return false;
  }
  const emulator::RollbackResult undone = emulator::roll_back(thread, point.outwards);
  end_call(thread, value, vector);
  note_value(value, record);
  record.bytes_rolled_back = undone.bytes;
  record.actions_undone = undone.actions;
  record.outcome = HealOutcome::healed;
  record.duration_ns = monotonic_ns() - begin;
  runtime.heals.fetch_add(1);
  runtime.bytes_undone.fetch_add(undone.bytes);
  const bool goes_on = emulator::nesting(thread) != 0;  // in the engine
  begin_sticking(record, {thread.activation, goes_on ? thread.activation : 0,
                          region.outer_count != 0, stands_in_for(point, region)});
  if (goes_on) {
    thread.over_budget = false;
    thread.ticks = 0;
    limit_what_follows(thread);
  }
  write_down(record);
  note_event(record, point.region->entry, site);
  return true;
}

void note_unprotected(Thread& thread, Region& region) {
  if (region.unprotected_noted) {
    return;
  }
  region.unprotected_noted = true;
  HealRecord record{};
  describe(thread, {&region, 0, 0, {}}, thread.guest.rip, record);
  record.outcome = HealOutcome::unprotected;
  record.fault = {};
  write_down(record);
}

}  // namespace selfheal::runtime
