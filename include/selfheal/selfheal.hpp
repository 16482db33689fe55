// C++ on top of selfheal.h: a block of code that is undone when it faults.
//
//   selfheal::rescue([&] { reply = parse(request); },
//                    [&](const selfheal_event& fault) { reply = bad_request(fault.fault); });
//
// Header only. Without the runtime the block just runs.
#pragma once

#include "selfheal/selfheal.h"

#include <exception>
#include <type_traits>
#include <utility>

namespace selfheal {

// True when `block` ran to its end; false when it faulted: then memory is as before, and `on_fault`
// has been called. An exception that leaves the block is rethrown here, after its effects were
// kept. Objects the block had made are gone without their destructors, as their memory is.
template <typename Block, typename OnFault>
bool rescue(Block&& block, OnFault&& on_fault) {
  struct Run {
    std::remove_reference_t<Block>* block;
    std::exception_ptr thrown;
  } run{&block, nullptr};
  const auto body = [](void* argument) {
    auto* self = static_cast<Run*>(argument);
    try {
      (*self->block)();
    } catch (...) {
      self->thrown = std::current_exception();
    }
  };
  if (selfheal_rescue(+body, &run) == 0) {
    if (run.thrown) {
      std::rethrow_exception(run.thrown);
    }
    return true;
  }
  selfheal_event event{};
  event.size = sizeof event;
  selfheal_last_event(&event);
  std::forward<OnFault>(on_fault)(static_cast<const selfheal_event&>(event));
  return false;
}

template <typename Block>
bool rescue(Block&& block) {
  return rescue(std::forward<Block>(block), [](const selfheal_event&) {});
}

// protect(&parse, {-1}): for functions of any type.
template <typename Result, typename... Arguments>
int protect(Result (*function)(Arguments...), const selfheal_protection* options = nullptr) {
  return selfheal_protect(reinterpret_cast<void (*)()>(function), options);
}

}  // namespace selfheal
