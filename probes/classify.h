// From what the kernel says about a signal to a Fault. Pure: plain state in, plain state out.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "lib/base/fault.h"

namespace selfheal::probes {

// Where the thread's stack may lie, guard included; {0, 0} when nobody knows.
struct StackRange {
  u64 low;
  u64 high;
  bool known() const { return high != 0; }
  bool contains(u64 address) const { return address >= low && address < high; }
};

// Signals the processor caused are "synchronous": the kernel gives them a positive si_code. What
// kill, raise, sigqueue or a timer sends has zero or less. The exception is a report of broken
// memory that nobody has touched yet.
inline bool synchronous(const siginfo_t& info) {
  return info.si_code > 0 && !(info.si_signo == SIGBUS && info.si_code == BUS_MCEERR_AO);
}

Fault classify(const siginfo_t& info, const ucontext_t& context, StackRange stack);

Registers registers_of(const ucontext_t& context);

}  // namespace selfheal::probes
