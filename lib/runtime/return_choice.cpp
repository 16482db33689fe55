#include "lib/runtime/return_choice.h"

#include <array>
#include <cstring>

#include "lib/patch/stubs.h"
#include "lib/recover/throwing.h"
#include "lib/recover/unwind.h"
#include "lib/runtime/stack_bounds.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

using recover::ExitStore;
using recover::Return;

// One cell is written once: claimed by a compare-and-swap, then published.
struct Kept {
  enum State : u32 { empty, claimed, ready };
  u32 state;
  FaultKind kind;
  u32 edition;
  u64 return_address;
  Return value;
};

constexpr unsigned kept_callers = 6;

struct Knowledge {
  u64 entry;  // of the function that `own` speaks of
  recover::OwnExits own;
  recover::OtherCallers others;
  recover::KnownFunction function;
  u32 edition;  // of `function`: what was inferred with another one is not taken
  Kept kept[kept_callers];
};

constinit Knowledge knowledge[patch::max_regions] = {};

Knowledge& knowledge_of(u64 index) {
  return knowledge[index % patch::max_regions];
}

const Kept* find_kept(const Knowledge& known, u64 return_address, FaultKind kind) {
  for (const Kept& kept : known.kept) {
    if (__atomic_load_n(&kept.state, __ATOMIC_ACQUIRE) == Kept::ready &&
        kept.return_address == return_address && kept.kind == kind &&
        kept.edition == __atomic_load_n(&known.edition, __ATOMIC_RELAXED)) {
      return &kept;
    }
  }
  return nullptr;
}

void keep(Knowledge& known, u64 return_address, FaultKind kind, const Return& value) {
  for (Kept& kept : known.kept) {
    u32 expected = Kept::empty;
    if (__atomic_compare_exchange_n(&kept.state, &expected, Kept::claimed, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
      kept.kind = kind;
      kept.edition = __atomic_load_n(&known.edition, __ATOMIC_RELAXED);
      kept.return_address = return_address;
      kept.value = value;
      __atomic_store_n(&kept.state, Kept::ready, __ATOMIC_RELEASE);
      return;
    }
  }
}

struct Inference {
  const Registers* at_entry;
  u64 return_address;
  FaultKind kind;
  const Knowledge* known;
  Return value;
};

constexpr Gpr arguments[] = {rdi, rsi, rdx, rcx, r8, r9};

recover::FrameArguments frame_arguments(const Registers& at_entry) {
  constexpr u64 largest_frame = 64 * 1024;
  recover::FrameArguments result{};
  const u64 sp = at_entry.gpr[rsp] + sizeof(u64);
  for (unsigned i = 0; i < std::size(arguments); ++i) {
    const u64 distance = at_entry.gpr[arguments[i]] - sp;
    result.known[i] = distance < largest_frame;
    result.offset[i] = static_cast<i64>(distance);
  }
  return result;
}

constexpr unsigned few_frames = 6;  // that may be asked what they do with a value

// Reads the callers' frames, which the fault may have damaged: runs guarded.
void infer(void* argument) {
  Inference& inference = *static_cast<Inference*>(argument);
  const Registers& registers = *inference.at_entry;
  const recover::OwnExits& own = inference.known->own;
  std::array<recover::Frame, max_frames> frames;
  const auto wanted = std::span(frames).first(own.throw_count != 0 ? max_frames : few_frames);
  const unsigned count = recover::unwind(registers, stack_bounds(registers.gpr[rsp]), wanted);
  std::array<u64, frames.size()> callers{inference.return_address};
  unsigned known = 1;
  for (unsigned i = 2; i < count; ++i) {
    callers[known++] = frames[i].registers.rip;
  }
  const auto stack = std::span<const u64>(callers).first(known);
  const recover::HealedCall site{stack.first(known < few_frames ? known : few_frames),
                                 frame_arguments(registers), &inference.known->others};
  inference.value = recover::choose_return(own, site, inference.kind, recover::live_image());
  recover::sharpen(inference.known->function, own, inference.kind, inference.value);
  recover::throw_instead(own, stack, recover::live_image(), inference.value);
}

struct Leaving {
  const Registers* at_entry;
  const Return* value;
  recover::StackBounds bounds;
  emulator::UndoLog* log;  // of the activation around the healed one; null: there is none
};

// What cannot be kept is not written either.
bool may_write(const Leaving& leaving, u64 at, u64 size) {
  return leaving.log == nullptr || leaving.log->save(at, size);
}

// An object of the caller's own frame is the caller's to fill; others may be everybody's.
bool is_ours_to_fill(const Leaving& leaving, const ExitStore& store, u64 at) {
  if (leaving.value->is_void || (leaving.value->is_object && store.argument == 0)) {
    return true;
  }
  return at > leaving.at_entry->gpr[rsp] && at < leaving.bounds.high;
}

void write_behind(void* argument) {
  const Leaving& leaving = *static_cast<const Leaving*>(argument);
  const u64* const gpr = leaving.at_entry->gpr;
  if (leaving.value->is_object && may_write(leaving, gpr[rdi], leaving.value->cleared)) {
    std::memset(pointer_to<void>(gpr[rdi]), 0, leaving.value->cleared);
  }
  for (unsigned i = 0; i < leaving.value->store_count; ++i) {
    const ExitStore& store = leaving.value->stores[i];
    const u64 at = gpr[arguments[store.argument]] + static_cast<u64>(i64{store.offset});
    const u64 value = store.value + (store.based != 0 ? gpr[arguments[store.base]] : 0);
    if (is_ours_to_fill(leaving, store, at) && may_write(leaving, at, store.size)) {
      std::memcpy(pointer_to<void>(at), &value, store.size);
    }
  }
}

}  // namespace

void learn_exits(u64 index, const image::Function& function, u64 site) {
  Knowledge& known = knowledge_of(index);
  if (known.entry == function.start) {
    return;  // its cells may be in use
  }
  known = {};  // what is known of the function follows (know_return)
  recover::find_own_exits(function, site, recover::live_image(), known.own);
  known.others = recover::find_other_callers(function, recover::live_image());
  __atomic_store_n(&known.entry, function.start, __ATOMIC_RELEASE);
}

// Word by word, a flag behind what it speaks of: heals may read them meanwhile.
void know_return(u64 index, const recover::KnownFunction& function) {
  Knowledge& known = knowledge_of(index);
  recover::KnownFunction& mine = known.function;
  if (mine == function) {
    return;
  }
  __atomic_store_n(&mine.error, function.error, __ATOMIC_RELEASE);
  __atomic_store_n(&mine.learned, function.learned, __ATOMIC_RELEASE);
  __atomic_store_n(&mine.failure, function.failure, __ATOMIC_RELEASE);
  __atomic_store_n(&mine.failure_known, function.failure_known, __ATOMIC_RELEASE);
  mine.declared = function.declared;
  __atomic_fetch_add(&known.edition, 1, __ATOMIC_RELEASE);
}

Return choose_return(const Registers& at_entry, u64 return_address, FaultKind kind,
                     const Region& region) {
  Inference inference{&at_entry, return_address, kind, nullptr, {}};
  Return& value = inference.value;
  value.in_rax.reason = ValueReason::fallback;
  if (region.value_set) {
    value.in_rax = {region.value, ValueReason::policy, 0};
  } else {
    Knowledge& known = knowledge_of(static_cast<u64>(&region - &region_at(0)));
    if (__atomic_load_n(&known.function.learned, __ATOMIC_ACQUIRE)) {
      value = recover::learned_return(known.own, known.function.error);
    } else if (const Kept* kept = find_kept(known, return_address, kind); kept != nullptr) {
      value = kept->value;
    } else {
      inference.known = &known;
      if (probes::guarded(&infer, &inference) && !value.by_outer_callers) {
        keep(known, return_address, kind, value);
      }
    }
    if (value.is_object) {
      value.in_rax.value = at_entry.gpr[rdi];
    }
  }
  if (region.error_set) {
    value.in_rax.error_number = region.error_number;
  }
  return value;
}

recover::ReturnValue choose_value(const Registers& at_entry, u64 return_address, FaultKind kind,
                                  const Region& region) {
  return choose_return(at_entry, return_address, kind, region).in_rax;
}

void leave_behind(const Registers& at_entry, const Return& value, emulator::UndoLog* log) {
  if (value.store_count == 0 && !value.is_object) {
    return;
  }
  Leaving leaving{&at_entry, &value, stack_bounds(at_entry.gpr[rsp]), log};
  probes::guarded(&write_behind, &leaving);
}

}  // namespace selfheal::runtime
