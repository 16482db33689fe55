#include "lib/runtime/module_ranges.h"

#include <atomic>

#include "emulator/engine.h"
#include "lib/image/module.h"

namespace selfheal::runtime {
namespace {

struct Range {
  u64 start;
  u64 end;
  ModuleId id;
  bool present;
};

// A program with more modules than this has the code of the rest forgotten at every change.
constexpr unsigned max_ranges = 512;
constinit Range ranges[max_ranges] = {};
constinit unsigned range_count = 0;
constinit std::atomic<bool> looking{false};

bool visit(const image::Module& module, void*) {
  for (unsigned i = 0; i < range_count; ++i) {
    if (ranges[i].start == module.start && ranges[i].end == module.end &&
        ranges[i].id == module.id) {
      ranges[i].present = true;
      return true;
    }
  }
  if (range_count < max_ranges) {
    ranges[range_count++] = {module.start, module.end, module.id, true};
  } else {
    emulator::forget_code(module.start, module.end);
  }
  return true;
}

}  // namespace

void forget_vanished_modules() {
  if (looking.exchange(true, std::memory_order_acquire)) {
    emulator::forget_code(0, ~u64{0});
    return;
  }
  for (unsigned i = 0; i < range_count; ++i) {
    ranges[i].present = false;
  }
  image::for_each_module(&visit, nullptr);
  for (unsigned i = range_count; i-- > 0;) {
    if (!ranges[i].present) {
      emulator::forget_code(ranges[i].start, ranges[i].end);
      ranges[i] = ranges[--range_count];
    }
  }
  looking.store(false, std::memory_order_release);
}

}  // namespace selfheal::runtime
