#include "lib/runtime/live.h"

#include <ctime>
#include <linux/futex.h>
#include <sys/single_threaded.h>

#include "emulator/engine.h"
#include "lib/base/raw_syscall.h"
#include "lib/image/module.h"
#include "lib/patch/module_watch.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/engine_start.h"
#include "lib/runtime/events.h"
#include "lib/runtime/explicit_regions.h"
#include "lib/runtime/fault_path.h"
#include "lib/runtime/hang.h"
#include "lib/runtime/heap_probe.h"
#include "lib/runtime/learning.h"
#include "lib/runtime/left_open.h"
#include "lib/runtime/module_ranges.h"
#include "lib/runtime/moved_candidates.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_check.h"
#include "lib/runtime/sticking.h"
#include "lib/runtime/wait_limit.h"
#include "lib/store/promote.h"
#include "probes/cpu_timer.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

Threads threads_now() {
  return __libc_single_threaded != 0 ? Threads::one : Threads::many;
}

constexpr u64 longest_wait = 100'000'000;  // ns
constexpr timespec nap = {0, 100'000};

constinit thread_local bool holds_changing = false;
// Its holder kept a thread waiting in vain, and has not let go of it since.
constinit std::atomic<bool> holder_stands{false};

// Held by the one thread that changes patches and catalog.
class Changing {
 public:
  Changing() : held_(take()) {}
  Changing(const Changing&) = delete;
  Changing& operator=(const Changing&) = delete;
  ~Changing() {
    if (held_) {
      holds_changing = false;
      runtime.changing.store(false);
    }
  }
  explicit operator bool() const { return held_; }

  // For as long as `reason` holds, but not for ever: the holder may wait for a lock of ours. Not
  // for this thread itself, whose change a handler has interrupted.
  void wait_while(bool (*reason)()) {
    if (held_ || holds_changing || holder_stands.load() || !probes::allowed(probes::Call::futex)) {
      return;
    }
    const u64 deadline = monotonic_ns() + longest_wait;
    while (!held_ && reason()) {
      if (monotonic_ns() >= deadline) {
        holder_stands.store(true);
        return;
      }
      static const u32 nobody_wakes = 0;
      raw_syscall(SYS_futex, address_of(&nobody_wakes), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0,
                  address_of(&nap));
      held_ = take();
    }
  }

 private:
  static bool take() {
    if (runtime.changing.exchange(true)) {
      return false;
    }
    holds_changing = true;
    holder_stands.store(false);
    return true;
  }

  bool held_;
};

// Patching opens files and maps code; where a filter forbids that, this process stays as it is.
bool may_change() {
  using probes::Call;
  for (const Call call : {Call::open, Call::pwrite, Call::close, Call::mmap, Call::munmap,
                          Call::memfd_create, Call::mmap_code, Call::membarrier}) {
    if (!probes::allowed(call)) {
      return false;
    }
  }
  return true;
}

// When alarms that stand are to be looked at again; 0: there are none. No news comes when a worker
// that hangs is killed, so the server it belonged to has to ask. Under runtime.changing.
constinit u64 alarms_due = 0;
constexpr u64 alarms_interval = 100'000'000;  // ns

// False: the store is not ours to write, or not any more.
bool promote_if_ours() {
  static u64 evidence_seen = 0;
  static bool ours = true;
  const bool alarms = alarms_due != 0 && monotonic_ns() >= alarms_due;
  if (!runtime.store.owner || !(alarms || store::wants_promotion(runtime.store, evidence_seen))) {
    return runtime.store.owner && ours;
  }
  evidence_seen = store::evidence_in(runtime.store.journal);
  store::Error error;
  const store::Promotion promotion = store::promote(runtime.store, error);
  const bool looked =
      promotion.result == store::Promoted::done || promotion.result == store::Promoted::nothing_new;
  if (promotion.standing != 0 || (alarms && !looked)) {
    alarms_due = monotonic_ns() + alarms_interval;
  } else if (looked) {
    alarms_due = 0;
  }
  ours = promotion.result != store::Promoted::not_owner;
  return ours;
}

// What a process can no longer read, it goes on without the news of.
void load_functions() {
  store::Functions newer;
  if (store::load_functions(runtime.store, newer)) {
    runtime.store.functions.close();
    runtime.store.functions = static_cast<store::Functions&&>(newer);
  }
}

void load_catalog() {
  store::Catalog newer;
  if (store::load_newer_catalog(runtime.store, newer)) {
    runtime.store.catalog.close();
    runtime.store.catalog = static_cast<store::Catalog&&>(newer);
    load_functions();
  }
}

// Once there are regions, what is loaded later has to be looked at, too.
void watch_modules() {
  if (!runtime.watching) {
    runtime.watching =
        patch::watch_modules({&on_modules_unloading, &on_modules_changed}) == patch::Refusal::none;
  }
}

bool wants_regions() {
  return runtime.options.mode != options::Mode::observe &&
         (!runtime.store.catalog.entries().empty() || runtime.options.region.count != 0 ||
          any_explicit() || runtime.regions.load() != 0 || watching_functions());
}

// Regions are not yet all in place, and can be at a later occasion. Under runtime.changing.
constinit bool unfinished = false;

void apply(Threads threads) {
  unfinished = false;
  apply_heap_probe(threads);
  if (wants_regions()) {
    watch_modules();
    forget_vanished_modules();
    unfinished = !apply_regions(threads);
  }
}

// Modules came or went, and nobody has applied the regions to them yet.
constinit std::atomic<bool> modules_changed{false};

// After every Changing: what came while it was held has been left to its holder.
void look_at_changed_modules() {
  while (modules_changed.load() && may_change()) {
    const Changing changing;
    if (!changing) {
      return;
    }
    modules_changed.store(false);
    const bool first = runtime.regions.load() == 0;
    apply(threads_now());
    if (first && runtime.regions.load() != 0) {
      probes::look_again_everywhere();  // threads that have had no use for the engine until now
    }
    if (unfinished) {
      probes::look_again();
    }
  }
}

bool in_engine() {
  const emulator::ThreadState state = emulator::this_thread.state;
  return state != emulator::ThreadState::absent && state != emulator::ThreadState::idle;
}

void protect_where_needed() {
  if (runtime.regions.load() != 0) {
    protect_thread();
  }
}

u64 news() {
  const u64* word = runtime.store.journal.news();
  return word == nullptr ? 0 : __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

// What somebody has caught up with.
constinit std::atomic<u64> old_news{0};

bool is_behind() {
  return old_news.load() != news();
}

// True: nothing is left to do. While another thread is taking up what is new, this one waits: its
// next call of the very function that was blamed may come before its next blocking call.
bool catch_up() {
  Changing changing;
  changing.wait_while(&is_behind);
  if (!changing) {
    protect_where_needed();
    return false;
  }
  const u64 taken_up = news();
  const bool ours = promote_if_ours();
  const u64 before = runtime.store.catalog.generation();
  load_catalog();
  if (move_candidates(ours) || unfinished || runtime.store.catalog.generation() != before ||
      breakers_changed(realtime_ns())) {
    apply(threads_now());
  }
  old_news.store(taken_up);
  const bool settled = runtime.patcher.upgrade_pending() == 0 && !unfinished;
  protect_where_needed();
  return settled && alarms_due == 0 && !breaker_will_close() &&
         !store::catalog_is_stale(runtime.store);
}

// True: nothing is left to do.
bool look_around() {
  deliver_event();
  const bool watching = look_at_connections();
  const bool known = note_service() && !watching;
  end_if_besieged();
  if (!may_change()) {
    return known;
  }
  const bool settled = catch_up();
  look_at_changed_modules();
  return settled && known;
}

}  // namespace

bool on_progress(probes::BlockingCall call) {
  if (in_engine()) {
    return false;
  }
  note_progress_point(call);
  const bool settled = look_around();
  return !awaits_progress(call) && settled;
}

void on_modules_unloading() {
  runtime.patcher.modules_unloading();
}

// Whoever is changing patches right now looks at the modules once more when it has done so.
void on_modules_changed() {
  runtime.patcher.modules_changed();
  forget_vanished_modules();  // whatever else may be done: their code must never run
  modules_changed.store(true);
  look_at_changed_modules();
}

void on_thread_started() {
  learn_stack();
  watch_thread();
  protect_where_needed();
}

void on_thread_ending() {
  end_watch();
  probes::delete_cpu_timer();
  delete_wait_timer();
  forget_prepared();
  end_sticking_of_thread();
  unprotect_thread();
}

void on_fork_child() {
  end_if_besieged();
  forget_wait_timer();
  watch_after_fork();
  forget_sticking();
  runtime.changing.store(false);
  runtime.patcher.after_fork_in_child();
  engine_after_fork();
}

void protect_blamed(const FaultRecord& record, std::span<const recover::Frame> frames) {
  if (record.blamed_frame >= frames.size() || !may_change()) {
    return;
  }
  const CodeRef& site = record.frames[record.blamed_frame];
  const u64 bias = frames[record.blamed_frame].registers.rip - site.offset;
  if (const Changing changing; changing && start_engine()) {
    protect_now(bias + record.region.entry.offset, record.region.code_hash, threads_now());
  }
  look_at_changed_modules();
}

bool while_changing(void (*what)(void*), void* argument) {
  {
    const Changing changing;
    if (!changing) {
      return false;
    }
    what(argument);
  }
  look_at_changed_modules();
  return true;
}

bool apply_changed_regions() {
  if (may_change()) {
    apply(threads_now());
  }
  return !unfinished;
}

void protect_at_start() {
  learn_stack();
  promote_if_ours();
  load_catalog();
  if (wants_regions() || runtime.options.heap_probe == options::HeapProbe::always) {
    apply(Threads::one);
  }
}

}  // namespace selfheal::runtime
