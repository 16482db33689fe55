#include "emulator/heap_view.h"

namespace selfheal::emulator {

constinit HeapView heap_view{};

}  // namespace selfheal::emulator
