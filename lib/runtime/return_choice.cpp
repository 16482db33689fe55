#include "lib/runtime/return_choice.h"

#include <array>

#include "lib/recover/unwind.h"
#include "lib/runtime/stack_bounds.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

using recover::ReturnValue;

struct Inference {
  const Registers* at_entry;
  u64 return_address;
  FaultKind kind;
  ReturnValue value;
};

// Reads the callers' frames, which the fault may have damaged: runs guarded.
void infer(void* argument) {
  Inference& inference = *static_cast<Inference*>(argument);
  const Registers& registers = *inference.at_entry;
  std::array<recover::Frame, 6> frames{};
  const unsigned count = recover::unwind(registers, stack_bounds(registers.gpr[rsp]), frames);
  std::array<u64, frames.size()> callers{inference.return_address};
  unsigned known = 1;
  for (unsigned i = 2; i < count; ++i) {
    callers[known++] = frames[i].registers.rip;
  }
  inference.value = recover::infer_return_value(std::span(callers).first(known), inference.kind,
                                                recover::live_image(), registers.rip);
}

}  // namespace

ReturnValue choose_value(const Registers& at_entry, u64 return_address, FaultKind kind,
                         const Region& region) {
  Inference inference{&at_entry, return_address, kind, {0, ValueReason::fallback, 0}};
  if (region.value_set) {
    inference.value = {region.value, ValueReason::policy, 0};
  } else {
    probes::guarded(&infer, &inference);
  }
  if (region.error_set) {
    inference.value.error_number = region.error_number;
  }
  return inference.value;
}

}  // namespace selfheal::runtime
