#include "probes/pending.h"

#include <atomic>

#include "lib/base/raw_syscall.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

// The process's latest prepared record: its token, and in the lowest bits (tokens are addresses of
// words) what becomes of it. 0: there is none.
enum Stage : u64 { prepared = 0, being_written = 1, written = 2 };
constexpr u64 stage_bits = 3;
constinit std::atomic<u64> latest{0};
constinit std::atomic<int> latest_signal{0};

u64 token_in(u64 state) {
  return state & ~stage_bits;
}

// Who takes it is who writes it down. Returns what was found: the token alone if it was taken.
u64 take(u64 token) {
  u64 found = token | prepared;
  latest.compare_exchange_strong(found, token | being_written);
  return found;
}

void set_written(u64 token) {
  u64 found = token | being_written;
  latest.compare_exchange_strong(found, token | written);
}

}  // namespace

void prepare_pending(const Fault& fault, SignalContext& signal) {
  forget_pending();
  if (hooks().prepare == nullptr) {
    return;
  }
  Thread& thread = this_thread();
  thread.pending = hooks().prepare(fault, signal);
  latest_signal.store(signal.signal, std::memory_order_relaxed);
  latest.store(address_of(thread.pending), std::memory_order_release);
}

PendingRecord commit_pending() {
  Thread& thread = this_thread();
  const u64 own = address_of(thread.pending);
  thread.pending = nullptr;
  const u64 token = own != 0 ? own : token_in(latest.load(std::memory_order_acquire));
  if (token == 0) {
    return PendingRecord::none;
  }
  const u64 found = take(token);
  if (found != token && token_in(found) == token) {
    return found == (token | written) ? PendingRecord::written : PendingRecord::being_written;
  }
  if (found != token && own == 0) {
    return PendingRecord::none;  // its thread has taken it back
  }
  // An own one that is not the latest is no concern of other threads.
  if (hooks().commit != nullptr) {
    hooks().commit(pointer_to<void>(token));
  }
  set_written(token);
  return PendingRecord::written;
}

void* certain_pending() {
  void* token = this_thread().pending;
  return token != nullptr && hooks().ends_anyway != nullptr && hooks().ends_anyway(token) ? token
                                                                                          : nullptr;
}

void commit_if_certain() {
  if (certain_pending() != nullptr) {
    commit_pending();
  }
}

PendingRecord commit_pending_for(const SignalContext& sent) {
  if (sent.info->si_code != SI_USER && sent.info->si_code != SI_TKILL &&
      sent.info->si_code != SI_QUEUE) {
    return PendingRecord::none;
  }
  if (latest.load(std::memory_order_relaxed) == 0 ||
      latest_signal.load(std::memory_order_relaxed) != sent.signal) {
    return PendingRecord::none;
  }
  if (allowed(Call::getpid) && sent.info->si_pid != raw_syscall(SYS_getpid)) {
    return PendingRecord::none;
  }
  return commit_pending();
}

bool claim_pending() {
  const u64 token = address_of(this_thread().pending);
  return token == 0 || take(token) != (token | written);
}

void settle_pending() {
  Thread& thread = this_thread();
  if (thread.pending != nullptr) {
    set_written(address_of(thread.pending));
    thread.pending = nullptr;
  }
}

void forget_pending() {
  Thread& thread = this_thread();
  u64 mine = address_of(thread.pending);
  thread.pending = nullptr;
  if (mine != 0) {
    latest.compare_exchange_strong(mine, 0);
  }
}

void forget_pending_of_parent() {
  this_thread().pending = nullptr;
  latest.store(0, std::memory_order_relaxed);
}

}  // namespace selfheal::probes
