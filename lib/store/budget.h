// What has been spent on healing, shared by all processes through the journal's mapping and kept
// over their restarts: a crash loop spread over twenty workers is one crash loop. Feeds the breaker
// (lib/runtime/breaker.h; DESIGN.md, invariant 7).
//
// A budget belongs to a key: a region's catalog id, a group of processes, or the address-space
// layout of one execve (any stable number other than 0). It counts what is spent in this minute and
// at all, and in how many different pages. Its breaker is closed, or open until a point in time.
//
// No system call, no lock, no allocation; any thread, signal handlers included. Untrusted like the
// journal: a hostile worker can open a breaker, which it could also do by faulting, and close one,
// which gives it back what it has anyway: it reads its own memory without our help.
#pragma once

#include "lib/base/types.h"
#include "lib/store/journal.h"

namespace selfheal::store {

// Keys: catalog ids have 48 bits, the others are told by their highest bits.
constexpr u64 group_budget(u64 hash) {
  return hash | u64{1} << 63;
}
constexpr u64 layout_budget(u64 hash) {
  return (hash & ~(u64{1} << 63)) | u64{1} << 62;
}

struct BudgetUse {
  u64 this_minute;  // this one included
  u64 ever;
  u32 distinct_pages;  // a lower bound, at most 256: 32 are told apart as 30 or more
};

// Spends one of `key`'s budget; `address` 0: none to be counted. Without a journal, or with the
// table full of other keys' current entries, the answer is {1, 1, 0}.
BudgetUse budget_spend(const Journal& journal, u64 key, u64 address, u64 now_ns);

// Opens the breaker: for `base_seconds`, twice as long each time it opens again within an hour of
// its closing, at most a day. 0: until somebody closes it.
void budget_open(const Journal& journal, u64 key, u64 base_seconds, u64 now_ns);

// Until when it is open, in seconds since 1970; 0: it is closed. `forever` when nobody knows.
inline constexpr u64 forever = (u64{1} << 48) - 1;
u64 budget_open_until(const Journal& journal, u64 key, u64 now_ns);

// What `key` has spent at all.
u64 budget_spent(const Journal& journal, u64 key);

// Closes the breaker and forgets what was spent.
void budget_reset(const Journal& journal, u64 key);
void budget_reset_groups(const Journal& journal);

}  // namespace selfheal::store
