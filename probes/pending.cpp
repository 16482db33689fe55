#include "probes/pending.h"

#include <atomic>

#include "lib/base/raw_syscall.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constinit std::atomic<void*> latest{nullptr};
constinit std::atomic<int> latest_signal{0};

}  // namespace

void prepare_pending(const Fault& fault, SignalContext& signal) {
  forget_pending();
  if (hooks().prepare == nullptr) {
    return;
  }
  Thread& thread = this_thread();
  thread.pending = hooks().prepare(fault, signal);
  latest_signal.store(signal.signal, std::memory_order_relaxed);
  latest.store(thread.pending, std::memory_order_release);
}

bool commit_pending() {
  Thread& thread = this_thread();
  void* token = thread.pending;
  if (token == nullptr) {
    token = latest.load(std::memory_order_acquire);
  }
  thread.pending = nullptr;
  if (token == nullptr) {
    return false;
  }
  // Whoever takes it out of `latest` commits it; an older one belongs to this thread alone.
  void* expected = token;
  if (!latest.compare_exchange_strong(expected, nullptr) && expected == nullptr) {
    return false;
  }
  if (hooks().commit != nullptr) {
    hooks().commit(token);
  }
  return true;
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

bool commit_pending_for(const SignalContext& sent) {
  if (sent.info->si_code != SI_USER && sent.info->si_code != SI_TKILL &&
      sent.info->si_code != SI_QUEUE) {
    return false;
  }
  if (latest.load(std::memory_order_relaxed) == nullptr ||
      latest_signal.load(std::memory_order_relaxed) != sent.signal) {
    return false;
  }
  if (allowed(Call::getpid) && sent.info->si_pid != raw_syscall(SYS_getpid)) {
    return false;
  }
  return commit_pending();
}

void forget_pending() {
  Thread& thread = this_thread();
  void* mine = thread.pending;
  thread.pending = nullptr;
  if (mine != nullptr) {
    latest.compare_exchange_strong(mine, nullptr);
  }
}

}  // namespace selfheal::probes
