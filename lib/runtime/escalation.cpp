#include "lib/runtime/escalation.h"

#include <algorithm>

#include "emulator/engine.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sticking.h"
#include "lib/store/levels.h"

namespace selfheal::runtime {
namespace {

// A loop may be healed in each of its turns, but not for ever.
constexpr u32 most_heals = 64;

const Region* region_of(const PendingHeal& heal) {
  const u64 catalog_id = store::id_of_key(heal.candidate);
  for (u32 index = 0; heal.candidate != 0 && index < runtime.patcher.count(); ++index) {
    const Region& region = region_at(index);
    if (runtime.patcher.enabled(index) && region.catalog_id == catalog_id) {
      return &region;
    }
  }
  return nullptr;
}

i32 activation_of(const emulator::Thread& thread, u64 entry) {
  for (u32 i = 0; i <= emulator::nesting(thread); ++i) {
    if (region_at(emulator::region_at_level(thread, i)).entry == entry) {
      return static_cast<i32>(i);
    }
  }
  return -1;
}

}  // namespace

Escalated escalate(const emulator::Thread& thread, i32 ruling) {
  const PendingHeal heal = pending_heal_in(thread.activation);
  const Region* const of = region_of(heal);
  if (of == nullptr) {
    return {};
  }
  const bool again = ruling >= 0 && &ruling_region(thread, static_cast<u32>(ruling)) == of;
  const u8 count = __atomic_load_n(&of->outer_count, __ATOMIC_ACQUIRE);
  for (u8 i = 0; i < count; ++i) {
    const OuterLevel& next = of->outer[i];
    const i32 at = activation_of(thread, next.entry);
    const bool is_first = ruling < 0 || at < ruling || (again && heal.repeated >= most_heals);
    if (at >= 0 && is_first && next.level > store::candidate_of_key(heal.candidate).level) {
      const u32 outwards = static_cast<u32>(at);
      return {of, &region_at(emulator::region_at_level(thread, outwards)), outwards, next.level};
    }
  }
  return {};
}

void limit_what_follows(emulator::Thread& thread) {
  const Region* const of = region_of(pending_heal_in(thread.activation));
  i32 outermost = -1;
  for (u8 i = 0; of != nullptr && i < of->outer_count; ++i) {
    outermost = std::max(outermost, activation_of(thread, of->outer[i].entry));
  }
  if (outermost > 0) {
    const u64 general = runtime.options.instruction_budget;
    emulator::limit_from_here(thread, general != 0 ? general : runtime.options.hang_instructions,
                              static_cast<u32>(outermost));
  }
}

}  // namespace selfheal::runtime
