#include "probes/timer_signal.h"

#include <atomic>

#include "probes/kernel.h"
#include "probes/kernel_handlers.h"

namespace selfheal::probes {
namespace {

constexpr int lowest = 40;   // libc keeps 32 and 33 to itself; programs count upwards from 34
constexpr int middle = 50;   // and downwards from 64
constexpr int highest = 58;  //

constinit std::atomic<int> taken{0};

bool is_free(int signal) {
  Disposition now{};
  return kernel_sigaction(signal, nullptr, &now) && now.is_default();
}

int find_free() {
  for (int distance = 0; distance <= middle - lowest; ++distance) {
    for (const int signal : {middle + distance, middle - distance}) {
      if (signal <= highest && is_free(signal)) {
        return signal;
      }
    }
  }
  return 0;
}

}  // namespace

bool take_timer_signal() {
  if (timer_signal() == 0) {
    const int signal = find_free();
    taken.store(signal, std::memory_order_relaxed);  // first: it decides how the handler is set
    if (signal != 0) {
      take_over(signal);
    }
  }
  return timer_signal() != 0;
}

int timer_signal() {
  return taken.load(std::memory_order_relaxed);
}

}  // namespace selfheal::probes
