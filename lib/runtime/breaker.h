// The breaker: may this region be healed once more (DESIGN.md, invariant 7)?
//
// A healing server must not become an oracle: somebody who probes its memory makes one region fault
// in many different pages, an ordinary bug in few. A region that faults without end is better
// served by a restart. And somebody who guesses a canary, one child of a forking server after the
// other, needs many deaths of processes that all have the same layout.
//
//   region    heals a minute  ─┐
//             distinct pages   ├─► open: its entry is unpatched in all processes, faults kill as
//   group     heals a minute   │   they would without us. By rate for 1, 2, 4 … minutes; for
//             distinct pages  ─┘   distinct pages until `selfheal enable`.
//   layout    integrity deaths ──► each process of it ends itself at its next fork or blocking
//                                  call; what is started again by execve has another one
//
// A group is all processes of one program (its main module) that use one store: workers, children,
// and those that a server re-executes. A layout is what one execve made and its children share.
//
// All counts are in the journal's mapping (store/budget.h). No lock, allocation or system call,
// but where a process ends itself.
#pragma once

#include "lib/base/fault.h"

namespace selfheal::runtime {

// Learns this process's group and layout. In the constructor, once the store is open.
void learn_group();

// Spends one heal of the region's and the group's budget. False: one of them is used up, and the
// breaker is open now.
bool may_spend(u64 region_key, const Fault& fault, u64 now_ns);

// Is the region's breaker open, or the group's? Until when, in seconds since 1970; 0: closed.
u64 breaker_open_until(u64 region_key, u64 now_ns);

// A fault was recorded that ends this process.
void count_death(FaultKind kind, u64 now_ns);

// Ends this process if too many of its layout have died of integrity faults.
void end_if_besieged();

}  // namespace selfheal::runtime
