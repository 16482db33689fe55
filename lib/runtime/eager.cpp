#include "lib/runtime/eager.h"

#include <array>

#include "lib/recover/choice.h"
#include "lib/runtime/departure.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/live.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using recover::callee_saved;
using recover::Frame;
using recover::ReturnValue;

// False while another thread decides, too. What the call was given is not known any more: objects
// and out-parameters stay as they are.
bool decide(std::span<const Frame> callers, const FaultRecord& record, const Frame& blamed,
            ReturnValue& value) {
  std::array<u64, 6> addresses{};
  unsigned count = 0;
  for (const Frame& caller : callers) {
    if (count == addresses.size()) {
      break;
    }
    addresses[count++] = caller.registers.rip;
  }
  const u64 bias = blamed.registers.rip - record.frames[record.blamed_frame].offset;
  image::Function function{};
  function.start = bias + record.region.entry.offset;
  function.size = record.region.size;
  recover::OwnExits own;
  if (!recover::find_own_exits(function, blamed.registers.rip, recover::live_image(), own)) {
    return false;
  }
  const recover::HealedCall site{std::span(addresses).first(count), {}};
  value = recover::choose_return(own, site, record.fault.kind, recover::live_image()).in_rax;
  return true;
}

}  // namespace

bool recover_eagerly(const FaultRecord& record, std::span<const Frame> frames,
                     probes::SignalContext& signal) {
  const unsigned caller = record.blamed_frame + 1U;
  if (runtime.options.mode != options::Mode::eager || record.region.size == 0 ||
      caller >= frames.size() || signal.info->si_code <= 0 || !healable(record.fault.kind) ||
      (frames[caller].known & callee_saved) != callee_saved) {
    return false;
  }
  const u64 begin = monotonic_ns();
  ReturnValue value{};
  if (!decide(frames.subspan(caller), record, frames[record.blamed_frame], value)) {
    return false;
  }
  HealRecord heal{};
  heal.time_ns = realtime_ns();
  heal.pid = record.pid;
  heal.tid = record.tid;
  heal.fault = record.fault;
  heal.site = record.site;
  heal.region = record.region;
  heal.value = value.value;
  heal.error_number = value.error_number;
  heal.reason = value.reason;
  heal.outcome = HealOutcome::eager;
  heal.module_count = record.module_count;
  heal.return_address = record.frames[caller];
  for (unsigned i = 0; i < max_record_modules; ++i) {
    heal.modules[i] = record.modules[i];
  }
  protect_blamed(record, frames);
  const bool room = record.fault.kind != FaultKind::stack_exhaustion;
  heal.actions_undone =
      depart(frames.first(caller + 1), room, value.value, value.error_number, signal);
  heal.duration_ns = monotonic_ns() - begin;
  runtime.heals.fetch_add(1);
  write_down(heal);
  return true;
}

}  // namespace selfheal::runtime
