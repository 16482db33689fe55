#include <errno.h>
#include <string.h>

#include "include/selfheal/selfheal.h"
#include "lib/runtime/counts.h"
#include "lib/runtime/runtime.h"

using selfheal::runtime::runtime;

extern "C" const char* selfheal_version() {
  return SELFHEAL_VERSION;
}

extern "C" int selfheal_active() {
  return runtime.active ? 1 : 0;
}

extern "C" int selfheal_get_statistics(selfheal_statistics* out) {
  if (out == nullptr || out->size < sizeof out->size) {
    errno = EINVAL;
    return -1;
  }
  selfheal_statistics now{};
  now.size = out->size < sizeof now ? out->size : sizeof now;
  now.regions = runtime.regions.load();
  now.faults = runtime.faults.load();
  now.heals = runtime.heals.load();
  now.left_to_die = runtime.left_to_die.load();
  now.bytes_undone = runtime.bytes_undone.load();
  const selfheal::runtime::Counts engine = selfheal::runtime::counts();
  now.region_calls = engine.calls;
  now.instructions = engine.instructions;
  now.went_native = engine.went_native;
  memcpy(out, &now, now.size);
  return 0;
}
