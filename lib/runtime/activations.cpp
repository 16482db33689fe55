#include "lib/runtime/activations.h"

namespace selfheal::runtime {

using recover::Frame;

void Activations::begin(std::span<const Frame> frames) {
  count_ = 0;
  const u64 callers = frames.size() - 1;
  for (u64 i = callers > capacity ? callers - capacity : 0; i < callers; ++i) {
    activations_[count_++] = of(frames[i + 1]);
  }
}

void Activations::keep_common(std::span<const Frame> frames) {
  unsigned kept = 0;
  for (unsigned i = 0; i < count_; ++i) {
    for (const Frame& caller : frames.subspan(1)) {
      const Activation other = of(caller);
      if (other.return_address == activations_[i].return_address &&
          other.caller_sp == activations_[i].caller_sp) {
        activations_[kept++] = activations_[i];
        break;
      }
    }
  }
  count_ = kept;
}

unsigned Activations::innermost(std::span<const Frame> frames) const {
  for (unsigned i = 0; i + 1 < frames.size(); ++i) {
    if (holds(of(frames[i + 1]))) {
      return i;
    }
  }
  return static_cast<unsigned>(frames.size());
}

bool Activations::holds(const Activation& wanted) const {
  for (unsigned i = 0; i < count_; ++i) {
    if (activations_[i].return_address == wanted.return_address &&
        activations_[i].caller_sp == wanted.caller_sp) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::runtime
