#include "lib/runtime/stack_bounds.h"

#include <initializer_list>

#include "probes/thread_stack.h"

namespace selfheal::runtime {
namespace {

constexpr u64 largest_stack = 1ULL << 30;
constexpr u64 unknown_stack_window = 16 * 1024;

constinit u64 main_stack_end = 0;

// From the page's begin: what a function has popped again lies below, and its call frame
// information still refers to it.
recover::StackBounds bounds_or(u64 sp, u64 window) {
  const u64 thread_pointer = address_of(__builtin_thread_pointer());
  for (const u64 end : {main_stack_end, thread_pointer}) {
    if (sp < end && end - sp < largest_stack) {
      return {page_down(sp), end};
    }
  }
  return {page_down(sp), sp + window};
}

}  // namespace

void learn_main_stack(const char* const* environment) {
  // The environment's pointers lie above the first frame, on the same mapping.
  main_stack_end = page_up(address_of(environment));
}

recover::StackBounds stack_bounds(u64 sp) {
  return bounds_or(sp, unknown_stack_window);
}

recover::StackBounds whole_stack_bounds(u64 sp) {
  return bounds_or(sp, largest_stack);
}

bool next_to_stack_pointer(const Fault& fault) {
  constexpr u64 near = 64 * 1024;
  const u64 sp = fault.registers.gpr[rsp];
  const probes::ThreadStack stack = probes::thread_stack();
  constexpr u64 largest_frame = 64 * 1024 * 1024;
  if (stack.high != 0 && sp < stack.low && sp + largest_frame >= stack.low && fault.address >= sp &&
      fault.address < stack.low) {
    return true;  // inside of a frame that steps out of the stack
  }
  return fault.address != 0 && fault.address + near - sp < 2 * near &&
         fault.address < stack_bounds(sp).high;
}

}  // namespace selfheal::runtime
