#include "lib/runtime/stack_looks.h"

#include "lib/recover/unwind.h"
#include "lib/runtime/stack_bounds.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

struct Look {
  const Registers* start;
  std::span<Activation> room;
  unsigned count;
};

void walk(void* argument) {
  Look& look = *static_cast<Look*>(argument);
  const recover::StackBounds bounds = stack_bounds(look.start->gpr[rsp]);
  recover::Frame frames[2] = {{*look.start, 0xffff, true}, {}};
  unsigned at = 0;
  while (look.count < look.room.size() && recover::step(frames[at], bounds, frames[1 - at])) {
    at = 1 - at;
    look.room[look.count++] = {frames[at].registers.gpr[rsp], frames[at].registers.rip};
  }
}

}  // namespace

std::span<Activation> look_at_stack(const Registers& start, std::span<Activation> room) {
  Look look{&start, room, 0};
  return probes::guarded(&walk, &look) ? room.first(look.count) : room.first(0);
}

}  // namespace selfheal::runtime
