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
// is no different; neither may be said to hang. So stacks are remembered at some blocking calls, in
// series of nine: the gaps between them are 1, 1, 2, 3, 5 ... 21 calls, so that no rhythm of calls
// (wait, read, write; wait, read, write) can hide one of its steps from them. What a whole series
// shares is the service; before there was one, what is there of it. A thread's first two series
// come early, more when it has used processor time.
#pragma once

#include <span>

#include "lib/base/types.h"
#include "lib/runtime/activations.h"

namespace selfheal::runtime {

class Service {
 public:
  void want_snapshots(u64 calls_now) {
    begin_series(calls_now + 2);
    finished_ = 0;
  }
  void want_snapshot(u64 calls_now) {
    if (next_ == never) {
      begin_series(calls_now);
    }
  }

  // Ordinary context, at a blocking call, `calls` being their number so far. True: has seen enough
  // for now.
  bool look(u64 calls);

  bool certain() const { return service_.looks() != 0; }
  bool known() const { return !best().shared().empty(); }
  bool holds(const Activation& activation) const { return best().holds(activation); }

 private:
  static constexpr u64 never = ~u64{0};
  static constexpr unsigned depth = 60;

  using Shared = SharedActivations<depth>;

  void add(std::span<const Activation> stack);
  const Shared& best() const { return service_.looks() != 0 ? service_ : forming_; }

  void begin_series(u64 first_call) {
    next_ = first_call;
    taken_ = 0;
  }
  void end_series(u64 calls);

  u64 next_;  // call to look at the stack at
  u32 taken_;
  u32 finished_;  // series
  Shared service_;
  Shared forming_;
};

}  // namespace selfheal::runtime
