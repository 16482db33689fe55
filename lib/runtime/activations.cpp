#include "lib/runtime/activations.h"

namespace selfheal::runtime {

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
