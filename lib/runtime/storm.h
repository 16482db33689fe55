// Heals that only readiness calls follow.
//
//   event loop    poll ─► on_event ─► accept_one        poll ─► on_event ─► ...
//                 "7!"                fault, heal       "7!"
//
// Where a function fails before it takes away what it was called for (the connection, the byte in
// the wake-up pipe), the event is there again as soon as it was healed, and so is the fault: each
// heal reaches the next poll, and none has helped. What tells it from a client that sends its bad
// request time and again: there, something is taken between two heals, natively by a call that is
// no readiness call, or in the engine, be that rolled back or not. And what tells it from a timer
// that faults at each tick: poll comes back at once.
//
// One thread's. Pure; times are CLOCK_MONOTONIC's.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// What was done in the engine so far (emulator::Thread).
struct DoneInEngine {
  u64 taken;
  u64 waited;
};

class Storm {
 public:
  constexpr void heal(u64 candidate, DoneInEngine done, u64 now_ns) {
    const bool same = goes_on(candidate, done, now_ns);
    const bool inside = done.waited != done_.waited;
    turns_ = same ? turns_ + (asked_ || inside ? 1 : 0) : 0;
    inside_ = same && inside;
    candidate_ = candidate;
    done_ = done;
    since_ = now_ns;
    asked_ = false;
  }

  // A readiness call is made now, natively.
  constexpr void wait(u64 now_ns) {
    if (asked_ && is_late(now_ns)) {
      end();
    } else {
      asked_ = true;
      since_ = now_ns;
    }
  }

  // Another blocking call is, or may have been.
  constexpr void end() { *this = {}; }

  // As long as it may go on, all blocking calls have to be seen.
  constexpr bool may_go_on() const { return candidate_ != 0; }

  // Heals before the last one that did no good.
  constexpr u32 turns() const { return turns_; }
  // Is it the last turn of as many as prove that the candidate is no good?
  constexpr bool has_failed() const { return turns_ != 0 && turns_ % enough == 0; }
  // Did what was rolled back last make the readiness call itself?
  constexpr bool is_inside() const { return inside_; }

  // Would this heal only prolong what has failed before?
  constexpr bool is_prolonged(u64 candidate, DoneInEngine done, u64 now_ns) const {
    return turns_ >= enough && goes_on(candidate, done, now_ns);
  }

 private:
  static constexpr u32 enough = 16;
  static constexpr u64 at_once = 10'000'000;  // and some time to get from poll to the fault

  constexpr bool is_late(u64 now_ns) const { return now_ns - since_ > at_once; }
  constexpr bool goes_on(u64 candidate, DoneInEngine done, u64 now_ns) const {
    return candidate == candidate_ && done.taken == done_.taken && !is_late(now_ns);
  }

  u64 candidate_ = 0;
  DoneInEngine done_{};
  u64 since_ = 0;       // the last heal or native readiness call
  bool asked_ = false;  // there was one since the last heal
  bool inside_ = false;
  u32 turns_ = 0;
};

}  // namespace selfheal::runtime
