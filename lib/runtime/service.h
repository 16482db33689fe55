// A thread's service loop: the activations that are there whenever it waits.
//
//      main                      ┐
//      event_loop                ├ in every stack that a blocking call was made from: service
//      wait_for_events           ┘
//      ─────────────
//      handle_request            in some: a request's, and what a hang may be blamed on
//      read_body
//
// The service loop of a thread is meant to run for ever, and the main function of a batch program
// is no different; neither may be said to hang. So stacks are remembered at some blocking calls:
// the 2nd, 4th, 8th ... 128th of a thread and later, when it has used processor time, one now and
// then. What four of them in a row share is the service; before there were four, what all share.
#pragma once

#include <span>

#include "lib/base/types.h"
#include "lib/runtime/activations.h"

namespace selfheal::runtime {

class Service {
 public:
  void want_snapshots(u64 calls_now) {
    next_ = calls_now + 2;
    step_ = 2;
  }
  void want_snapshot(u64 calls_now) {
    if (step_ > last_step) {
      next_ = calls_now;
    }
  }

  // Ordinary context, at a blocking call, `calls` being their number so far. True: has seen enough
  // for now.
  bool look(u64 calls);

  bool known() const { return !best().shared().empty(); }
  bool holds(const Activation& activation) const { return best().holds(activation); }

 private:
  static constexpr u64 last_step = 128;
  static constexpr unsigned depth = 60;
  static constexpr u32 in_a_row = 4;

  using Shared = SharedActivations<depth>;

  void add(std::span<const Activation> stack);
  const Shared& best() const { return service_.looks() != 0 ? service_ : forming_; }

  u64 next_;
  u64 step_;
  Shared service_;
  Shared forming_;
};

}  // namespace selfheal::runtime
