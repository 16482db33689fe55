#include "lib/image/callers.h"

#include "lib/image/displacements.h"

namespace selfheal::image {
namespace {

constexpr u64 most_text = u64{64} << 20;

}  // namespace

unsigned find_callers(const Module& module, const Function& function, std::span<u64> out) {
  constexpr u8 call = 0xe8;
  constexpr u64 displacement_size = 4;
  unsigned count = 0;
  u64 left = most_text;
  const auto consider = [&](u64 displacement) {
    Function caller;
    // Four bytes that name the function exactly, behind the opcode: they are not so by chance.
    if (*pointer_to<const u8>(displacement - 1) != call || function.holds(displacement) ||
        !find_function(module, displacement, caller)) {
      return;
    }
    if (count < out.size()) {
      out[count] = displacement + displacement_size;
    }
    ++count;
  };
  for (unsigned i = 0; i < module.segment_count && left != 0; ++i) {
    Segment segment = module.segments[i];
    if ((segment.flags & (PF_X | PF_R)) != (PF_X | PF_R)) {
      continue;
    }
    segment.end = segment.end - segment.start > left ? segment.start + left : segment.end;
    left -= segment.end - segment.start;
    for_each_displacement(segment, function.start, 1, consider);
  }
  return count;
}

}  // namespace selfheal::image
