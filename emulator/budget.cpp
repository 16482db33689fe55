// When an activation has run for long enough.
//
//   instructions ──► budget (the next checkpoint) ──► pause(): a signal? the limit? the deadline?
//
// Counting costs one comparison a block, which is with the nearest of what there is to look at: the
// instruction budget, the next look at the clock, or 0 because a signal handler has asked for it.
#include <cerrno>

#include "emulator/guard.h"
#include "emulator/interpreter.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

// Between two looks at the clock: about a millisecond of most code.
constexpr u64 look_interval = 1U << 16;

// The time budget begins to run at the first look, so that a short activation never asks. Needs a
// VectorScope.
bool is_late(Machine& m) {
  const u64 now = config().clock();
  if (m.deadline == 0) {
    m.deadline = now + config().time_budget;
  }
  return now >= m.deadline;
}

bool looks_late(Machine& m) {
  if (config().time_budget == 0) {
    return false;
  }
  const VectorScope keep;
  return is_late(m);
}

constexpr const char* late = "the time budget is used up";

}  // namespace

// A signal handler asks for a halt by setting signal_waits and then the budget to 0, so it is set
// here in the other order.
void set_checkpoint(Thread& t) {
  Machine& m = machine_of(t);
  const u64 look = m.instructions + look_interval;
  m.budget = config().time_budget != 0 && look < m.limit ? look : m.limit;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (t.signal_waits || t.over_budget) {
    m.budget = 0;
  }
}

bool pause(Thread& t, u64 rip) {
  Machine& m = machine_of(t);
  if (t.signal_waits) {
    m.stop = Stop::signal;
  } else if (m.instructions > m.limit || t.over_budget) {
    m.stop = Stop::budget;
  } else if (looks_late(m)) {
    m.stop = Stop::budget;
    m.reason = late;
  } else {
    set_checkpoint(t);
    return true;
  }
  t.guest.rip = rip;
  return false;
}

// For what does not count instructions.
bool begin_wait(Thread& t) {
  const VectorScope keep;
  t.time_is_up = false;
  if (is_late(machine_of(t))) {
    return false;
  }
  config().begin_wait(machine_of(t).deadline);
  return true;
}

// A call that was cut short has not happened, or says EINTR, which is the same. A signal that came
// as well goes first; the time is still up when the call is made again.
bool end_wait(Thread& t, u64 number, EffectResult result) {
  const VectorScope keep;
  config().end_wait();
  const bool broken_off = result == EffectResult::done && t.guest.gpr[rax] == u64{0} - EINTR;
  if (!t.time_is_up || t.signal_waits || (result != EffectResult::interrupted && !broken_off)) {
    return true;
  }
  t.guest.gpr[rax] = number;
  return false;
}

const Op* stop_late(Thread& t) {
  return stop_here(t, Stop::budget, late);
}

}  // namespace selfheal::emulator
