#include "lib/runtime/stack_looks.h"

#include "lib/recover/unwind.h"
#include "lib/runtime/stack_bounds.h"

namespace selfheal::runtime {

unsigned walk_activations(const Registers& start, std::span<Activation> out) {
  const recover::StackBounds bounds = stack_bounds(start.gpr[rsp]);
  recover::Frame frames[2] = {{start, 0xffff, true}, {}};
  unsigned count = 0;
  while (count < out.size() && recover::step(frames[count % 2], bounds, frames[(count + 1) % 2])) {
    const Registers& caller = frames[(count + 1) % 2].registers;
    out[count++] = {caller.gpr[rsp], caller.rip};
  }
  return count;
}

unsigned keep_common(std::span<Activation> kept, std::span<const Activation> seen) {
  std::size_t at = 0;
  for (std::size_t first = 0; first < kept.size(); ++first) {
    while (at < seen.size() && seen[at].cfa < kept[first].cfa) {
      ++at;
    }
    if (at < seen.size() && seen[at] == kept[first]) {
      for (std::size_t i = first; i < kept.size(); ++i) {
        kept[i - first] = kept[i];
      }
      return static_cast<unsigned>(kept.size() - first);
    }
  }
  return 0;
}

}  // namespace selfheal::runtime
