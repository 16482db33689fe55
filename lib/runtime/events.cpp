#include "lib/runtime/events.h"

#include <atomic>
#include <errno.h>
#include <string.h>

#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

constinit thread_local selfheal_event last{};
constinit thread_local bool untold = false;
constinit std::atomic<selfheal_event_handler> handler{nullptr};
constinit std::atomic<void*> handler_context{nullptr};

}  // namespace

void note_event(const HealRecord& record, u64 region, u64 site) {
  last.size = sizeof last;
  last.time_ns = record.time_ns;
  last.fault = name_of(record.fault.kind);
  last.outcome = name_of(record.outcome);
  last.function = region;
  last.site = site;
  last.address = record.fault.address;
  last.value = record.value;
  last.duration_ns = record.duration_ns;
  last.error_number = record.error_number;
  last.irrevocable = record.irrevocable;
  if (handler.load(std::memory_order_relaxed) != nullptr) {
    untold = true;
    probes::look_again();
  }
}

void deliver_event() {
  const selfheal_event_handler tell = handler.load(std::memory_order_acquire);
  if (!untold || tell == nullptr) {
    return;
  }
  untold = false;
  const selfheal_event event = last;
  tell(&event, handler_context.load(std::memory_order_relaxed));
}

}  // namespace selfheal::runtime

using namespace selfheal::runtime;

extern "C" int selfheal_last_event(selfheal_event* out) {
  if (out == nullptr || out->size < sizeof out->size) {
    errno = EINVAL;
    return -1;
  }
  if (last.size == 0) {
    errno = ENOENT;
    return -1;
  }
  const uint64_t size = out->size < sizeof last ? out->size : sizeof last;
  memcpy(out, &last, size);
  out->size = size;
  return 0;
}

extern "C" int selfheal_on_event(selfheal_event_handler wanted, void* context) {
  handler_context.store(context, std::memory_order_relaxed);
  handler.store(wanted, std::memory_order_release);
  return 0;
}
