#include "lib/runtime/stack_search.h"

#include "lib/runtime/stack_bounds.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

struct Task {
  Fault* fault;
  std::span<recover::Frame> frames;
  unsigned* frame_count;
  StackSearch* stack;
};

// Next to the stack pointer there is memory, unless the stack has come to its end. Where the
// thread's stack is known the probe has said so; on one that the program made itself (makecontext,
// coroutines) a recursion has to be seen for it.
bool may_be_exhaustion(const Fault& fault) {
  return fault.kind == FaultKind::stack_exhaustion ||
         (fault.kind == FaultKind::wild_access && next_to_stack_pointer(fault));
}

void walk(void* argument) {
  const Task& task = *static_cast<Task*>(argument);
  const Registers& registers = task.fault->registers;
  task.stack->bounds = whole_stack_bounds(registers.gpr[rsp]);
  task.stack->search.collect(registers, task.stack->bounds);
}

void conclude(void* argument) {
  const Task& task = *static_cast<Task*>(argument);
  recover::RecursionFrames& recursion = task.stack->recursion;
  recursion.recursion = task.stack->search.conclude(recover::live_image());
  recursion.used = task.stack->search.end() - task.fault->registers.gpr[rsp];
  if (recursion.recursion.found) {
    task.fault->kind = FaultKind::stack_exhaustion;
    *task.frame_count =
        recover::keep_both_ends(task.stack->bounds, task.frames, *task.frame_count, recursion);
  }
}

}  // namespace

void search_stack(Fault& fault, std::span<recover::Frame> frames, unsigned& frame_count,
                  StackSearch& stack) {
  stack.recursion = {};
  if (!may_be_exhaustion(fault)) {
    return;
  }
  Task task{&fault, frames, &frame_count, &stack};
  stack.search.begin();
  probes::guarded(&walk, &task);  // what it saw before it faulted is kept
  if (!probes::guarded(&conclude, &task)) {
    stack.recursion = {};
  }
}

}  // namespace selfheal::runtime
