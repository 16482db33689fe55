// selfheal_protect, selfheal_unprotect, selfheal_rescue: rescue points that the program names.
#include <atomic>
#include <errno.h>
#include <sched.h>

#include "include/selfheal/selfheal.h"
#include "lib/runtime/explicit_regions.h"
#include "lib/runtime/live.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

int failed(int error_number) {
  errno = error_number;
  return -1;
}

bool may_protect() {
  return runtime.active && runtime.heals_faults();
}

bool plausible(const selfheal_protection* options) {
  return options == nullptr || (options->size >= sizeof *options && options->has_value <= 1 &&
                                options->has_error_number <= 1 && options->error_number >= 0);
}

struct Request {
  u64 address;
  const selfheal_protection* options;
  int error_number;
};

void add(void* argument) {
  Request& request = *static_cast<Request*>(argument);
  ExplicitRegion* region = nullptr;
  switch (add_explicit(request.address, request.options, region)) {
    case Explicit::no_function:
      request.error_number = EINVAL;
      return;
    case Explicit::full:
      request.error_number = ENOSPC;
      return;
    case Explicit::added:
    case Explicit::changed:
      break;
  }
  region->problem = "patching is forbidden here";
  const bool settled = apply_changed_regions();
  if (region->problem != nullptr) {
    region->used = false;
    request.error_number = settled ? ENOTSUP : EAGAIN;
  }
}

void remove(void* argument) {
  Request& request = *static_cast<Request*>(argument);
  ExplicitRegion* region = find_explicit(request.address);
  if (region == nullptr) {
    request.error_number = EINVAL;
    return;
  }
  region->used = false;
  apply_changed_regions();
}

// Others change patches for milliseconds: at a blocking call, at dlopen.
int change(void (*what)(void*), Request& request) {
  constexpr int attempts = 1000;
  for (int i = 0; i < attempts; ++i) {
    request.error_number = 0;
    if (while_changing(what, &request) && request.error_number != EAGAIN) {
      return request.error_number == 0 ? 0 : failed(request.error_number);
    }
    sched_yield();
  }
  return failed(EAGAIN);
}

// Patches the rescue body at the first use.
void prepare_rescue() {
  static std::atomic<bool> tried{false};
  if (tried.load(std::memory_order_acquire) || tried.exchange(true)) {
    return;
  }
  const selfheal_protection options{sizeof options, 1, 0, 1, 0, {}};
  Request request{address_of_function(&selfheal_rescue_body), &options, 0};
  change(&add, request);
}

}  // namespace
}  // namespace selfheal::runtime

using namespace selfheal::runtime;

extern "C" int selfheal_protect(void (*function)(), const selfheal_protection* options) {
  if (function == nullptr || !plausible(options)) {
    return failed(EINVAL);
  }
  if (!may_protect()) {
    return failed(ENOSYS);
  }
  Request request{selfheal::address_of_function(function), options, 0};
  return change(&add, request);
}

extern "C" int selfheal_unprotect(void (*function)()) {
  if (!may_protect()) {
    return failed(ENOSYS);
  }
  Request request{selfheal::address_of_function(function), nullptr, 0};
  return change(&remove, request);
}

// Called inside another region, it is that region's code.
extern "C" __attribute__((section(".text.rescue"))) int selfheal_rescue(void (*body)(void*),
                                                                        void* argument) {
  if (may_protect()) {
    prepare_rescue();
  }
  return selfheal_rescue_body(body, argument);
}
