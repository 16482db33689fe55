// Refusing a call that the stack has no room for, and what is written down of it. On our own stack:
// the guest's may have little left.
#include <errno.h>
#include <unistd.h>

#include "lib/recover/recursion.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/return_choice.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_check.h"
#include "lib/runtime/symbolize.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

Registers registers_at_entry(const RefusedCall& call, const Region& region) {
  Registers registers{};
  registers.rip = region.entry;
  registers.gpr[rsp] = call.entry_sp;
  registers.gpr[rbx] = call.rbx;
  registers.gpr[rbp] = call.rbp;
  registers.gpr[r12] = call.r12;
  registers.gpr[r13] = call.r13;
  registers.gpr[r14] = call.r14;
  registers.gpr[r15] = call.r15;
  return registers;
}

struct Search {
  const Registers* at_entry;
  u64 entry;
  recover::RecursionSearch recursion;
  u64 outermost;
};

void find_outermost(void* argument) {
  Search& search = *static_cast<Search*>(argument);
  search.recursion.collect(*search.at_entry, {search.at_entry->gpr[rsp], depth_guard().high()});
  search.outermost = search.recursion.outermost_entry(search.entry);
}

// The first refusal of a recursion: until its outermost activation is left, all others are the same
// heal.
void open_unwinding(const Registers& at_entry, const Region& region) {
  Search search{&at_entry, region.entry, {}, 0};
  probes::guarded(&find_outermost, &search);
  begin_unwinding(search.outermost != 0 ? search.outermost : depth_guard().high(),
                  search.outermost != 0);
}

bool may_refuse(const Region& region) {
  if (!runtime.heals_faults() || region.policy != store::Policy::heal) {
    return false;
  }
  Fault exhaustion{};
  exhaustion.kind = FaultKind::stack_exhaustion;
  return may_spend(budget_key(region), exhaustion, realtime_ns());
}

void describe(const Registers& at_entry, u64 return_address, const Region& region,
              HealRecord& record) {
  forget_modules();
  record.time_ns = realtime_ns();
  record.pid = static_cast<u32>(getpid());
  record.tid = static_cast<u32>(gettid());
  record.fault.kind = FaultKind::stack_exhaustion;
  record.fault.address = at_entry.gpr[rsp];
  record.fault.registers = at_entry;
  record.modules[0] = region.module;
  record.module_count = 1;
  record.region = region.function;
  record.site = refer(record, region.entry);
  record.return_address = refer(record, return_address);
  record.remedies = region.remedies;
}

// What the caller at `return_address` gets. Asked once for each caller of an unwinding: a recursion
// that goes on wide may be refused a million times.
recover::ReturnValue value_for(const Registers& at_entry, u64 return_address,
                               const Region& region) {
  Unwinding& unwinding = depth_guard().unwinding;
  if (unwinding.returns_to == return_address) {
    return {unwinding.value, ValueReason::none, unwinding.error_number};
  }
  const recover::ReturnValue chosen =
      choose_value(at_entry, return_address, FaultKind::stack_exhaustion, region);
  unwinding.returns_to = return_address;
  unwinding.value = chosen.value;
  unwinding.error_number = chosen.error_number;
  return chosen;
}

// True: the call is refused, `value` says with what.
bool refuse(const RefusedCall& call, recover::ReturnValue& value) {
  const Region& region = region_at(call.region_index);
  const u64 return_address = *pointer_to<const u64>(call.entry_sp);
  const Registers at_entry = registers_at_entry(call, region);
  if (depth_guard().unwinding.outermost != 0) {
    value = value_for(at_entry, return_address, region);
    return true;
  }
  const u64 begin = monotonic_ns();
  HealRecord record{};
  describe(at_entry, return_address, region, record);
  open_unwinding(at_entry, region);
  if (!may_refuse(region)) {
    depth_guard().unwinding.denied = true;
    record.outcome = HealOutcome::left_to_die;
    runtime.left_to_die.fetch_add(1);
    write_down(record);
    return false;
  }
  value = value_for(at_entry, return_address, region);
  record.value = value.value;
  record.reason = value.reason;
  record.error_number = value.error_number;
  record.outcome = HealOutcome::healed;
  record.duration_ns = monotonic_ns() - begin;
  runtime.heals.fetch_add(1);
  write_down(record);
  return true;
}

}  // namespace
}  // namespace selfheal::runtime

using namespace selfheal;
using namespace selfheal::runtime;

Refusal selfheal_refuse_call(const RefusedCall* call) {
  const int kept = errno;
  recover::ReturnValue value{};
  const bool refused = refuse(*call, value);
  errno = refused && value.error_number != 0 ? value.error_number : kept;
  return {value.value, refused ? u64{1} : 0};
}
