#include "lib/image/callers.h"

#include "lib/image/decoder.h"
#include "lib/image/displacements.h"

namespace selfheal::image {
namespace {

constexpr u64 most_text = u64{64} << 20;

// A call whose opcode is at `opcode`; the linker puts a prefix before one that once went through a
// word.
bool is_call(const Module& module, const Function& caller, u64 opcode) {
  constexpr u8 address_size = 0x67;
  return reached_by_decoding(module, caller, opcode) ||
         (opcode > caller.start && *pointer_to<const u8>(opcode - 1) == address_size &&
          reached_by_decoding(module, caller, opcode - 1));
}

}  // namespace

unsigned find_callers(const Module& module, const Function& function, std::span<u64> out) {
  constexpr u8 call = 0xe8;
  constexpr u64 displacement_size = 4;
  unsigned count = 0;
  u64 left = most_text;
  const auto consider = [&](u64 displacement) {
    Function caller;
    if (count == out.size() || *pointer_to<const u8>(displacement - 1) != call ||
        function.holds(displacement) || !find_function(module, displacement, caller) ||
        !is_call(module, caller, displacement - 1)) {
      return;
    }
    out[count++] = displacement + displacement_size;
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
