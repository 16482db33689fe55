// Judges calls while the guest's vector registers are live: built with -mgeneral-regs-only.
#include "lib/runtime/stack_check.h"

#include <sys/resource.h>

#include "emulator/thread.h"
#include "emulator/vector_state.h"
#include "lib/base/raw_syscall.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"
#include "probes/thread_stack.h"

namespace selfheal::runtime {

constinit thread_local DepthGuard selfheal_depth_guard{};

namespace {

using Code = void (*)();

constexpr u64 kibibyte = 1024;
constexpr u64 unlimited = ~u64{0};

// What the cells compare rsp with. Not the guard's own limits while a recursion is being unwound.
constinit thread_local u64 stack_limits[reserve_classes] = {};
constinit thread_local Code refuse_target = &selfheal_check_depth;

constinit u64 vector_size = 0;

u64 from_thread_pointer(const void* variable) {
  return address_of(variable) - address_of(__builtin_thread_pointer());
}

void set_words(bool look_closer) {
  for (unsigned i = 0; i < reserve_classes; ++i) {
    __atomic_store_n(&stack_limits[i], look_closer ? unlimited : depth_guard().limits[i],
                     __ATOMIC_RELAXED);
  }
}

void set_limits(u64 low, u64 high) {
  depth_guard().low = low;
  depth_guard().span = high - low;
  for (u8 i = 0; i < reserve_classes; ++i) {
    depth_guard().limits[i] = low + reserve_of(i, high - low);
  }
  set_words(depth_guard().unwinding.outermost != 0);
}

// The first thread's stack grows up to a limit that setrlimit may have raised since.
bool limit_was_raised() {
  if (!depth_guard().first_thread || !probes::no_filter_seen()) {
    return false;
  }
  rlimit limit{};
  raw_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, address_of(&limit));
  const u64 high = depth_guard().high();
  if (limit.rlim_cur >= high / 2 || high - limit.rlim_cur >= depth_guard().low) {
    return false;
  }
  set_limits(high - page_down(limit.rlim_cur), high);
  return true;
}

bool in_engine() {
  const emulator::ThreadState state = emulator::this_thread.state;
  return state == emulator::ThreadState::busy || state == emulator::ThreadState::running ||
         state == emulator::ThreadState::native;
}

bool has_been_left(const Unwinding& unwinding, u64 entry_sp) {
  return unwinding.whole ? entry_sp >= unwinding.outermost
                         : probes::progress_count() != unwinding.progress;
}

}  // namespace

u8 reserve_class(u64 stack_reserve) {
  u8 found = 0;
  for (u64 size = 16 * kibibyte; stack_reserve != 0 && found + 1U < reserve_classes; size *= 4) {
    ++found;
    if (size >= stack_reserve) {
      break;
    }
  }
  return found;
}

u64 reserve_of(u8 reserve_class, u64 size) {
  u64 reserve = size / 16 > 64 * kibibyte ? size / 16 : 64 * kibibyte;
  reserve = reserve < size / 4 ? reserve : size / 4;
  if (reserve_class != 0) {
    const u64 wanted = (16 * kibibyte) << (2 * (reserve_class - 1));
    const u64 most = size / 4 * 3;
    const u64 granted = wanted < most ? wanted : most;
    reserve = granted > reserve ? granted : reserve;
  }
  return reserve;
}

i32 stack_limit_offset(u8 reserve_class) {
  return static_cast<i32>(from_thread_pointer(&stack_limits[reserve_class]));
}

i32 refuse_target_offset() {
  return static_cast<i32>(from_thread_pointer(&refuse_target));
}

void learn_stack() {
  const probes::ThreadStack stack = probes::thread_stack();
  if (vector_size == 0) {
    vector_size = emulator::vector_area_size();
  }
  depth_guard().first_thread = stack.grows;
  if (stack.high != 0) {
    set_limits(stack.low, stack.high);
  }
}

void begin_unwinding(u64 outermost, bool whole) {
  depth_guard().unwinding = {outermost, probes::progress_count(), whole, false, 0, 0, 0};
  set_words(true);
}

void end_unwinding() {
  depth_guard().unwinding.outermost = 0;
  set_words(false);
}

}  // namespace selfheal::runtime

using namespace selfheal;
using namespace selfheal::runtime;

u64 selfheal_judge_depth(u64 region_index, u64 entry_sp) {
  DepthGuard& guard = depth_guard();
  if (probes::in_vfork_child()) {
    return 0;
  }
  if (guard.unwinding.outermost != 0 && has_been_left(guard.unwinding, entry_sp)) {
    end_unwinding();
  }
  const Region& region = region_at(region_index);
  if (entry_sp > guard.limits[region.reserve_class] || guard.unwinding.denied || in_engine()) {
    return 0;
  }
  if (limit_was_raised() && entry_sp > guard.limits[region.reserve_class]) {
    return 0;
  }
  // Its cell is being filled.
  if (__atomic_load_n(&region.entry, __ATOMIC_ACQUIRE) !=
      runtime::runtime.patcher.entry(static_cast<u32>(region_index))) {
    return 0;
  }
  const u64 top = probes::thread_stack().own_top;
  return top == 0 || vector_size == 0 ? 0 : (top - vector_size) & ~u64{63};
}
