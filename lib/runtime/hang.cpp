#include "lib/runtime/hang.h"

#include <atomic>
#include <csignal>

#include "lib/runtime/hang_record.h"
#include "lib/runtime/loop_budget.h"
#include "lib/runtime/process_memory.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/service.h"
#include "lib/runtime/stack_looks.h"
#include "lib/runtime/wait_limit.h"
#include "probes/classify.h"
#include "probes/cpu_timer.h"
#include "probes/resume.h"
#include "probes/sandbox.h"
#include "probes/timer_signal.h"

namespace selfheal::runtime {
namespace {

using probes::SignalContext;

constexpr u32 budget_ticks = 40;  // hang-seconds, in ticks
constexpr u32 far_longer = 10;    // times the longest stretch that came to an end
constexpr u32 enough_looks = 16;
constexpr u32 growth_looks = 4;
constexpr u64 enough_turns = 100;          // blocking calls of a process that is known to serve
constexpr u64 least_interval = 1'000'000;  // ns; the kernel's clock interrupt is coarser

constinit std::atomic<u32> longest_stretch{0};  // in ticks, of any thread, that came to an end
constinit std::atomic<u64> counted_turns{0};    // blocking calls, of all threads and our parents

// One thread's, in its probes::thread_area().
struct Watch {
  u64 progress;   // at the last tick
  u64 born;       // progress at the thread's start, or at the fork
  u64 counted;    // progress up to which counted_turns has it
  u32 quiet;      // ticks since `progress` moved
  u32 look_from;  // quiet ticks before which it is not looked at (again)
  u64 memory;     // bytes the process had at the stretch's begin
  u64 memory_seen;
  bool standing;  // an alarm of ours is in the journal
  store::Ticket alarm;
  Service service;
  SharedActivations<96> suspects;
};
static_assert(sizeof(Watch) <= probes::thread_area_size);

bool watching() {
  return runtime.options.hang_seconds != 0 && probes::timer_signal() != 0;
}

Watch* own_watch() {
  return watching() ? static_cast<Watch*>(probes::thread_area()) : nullptr;
}

u64 interval_ns() {
  const u64 interval = runtime.options.hang_seconds * 1'000'000 / budget_ticks;
  return interval < least_interval ? least_interval : interval;
}

// May this thread be said to hang? See docs/faults.md.
bool eligible(const Watch& w) {
  if (runtime.options.hang_scope == options::HangScope::all) {
    return true;
  }
  return probes::serves() && w.progress != w.born && w.service.known() &&
         counted_turns.load(std::memory_order_relaxed) + (w.progress - w.counted) >= enough_turns;
}

// Each thread's calls are counted one by one while its service loop is being learned, which takes
// about a hundred.
void count_turns(Watch& w) {
  const u64 now = probes::progress_count();
  counted_turns.fetch_add(now - w.counted, std::memory_order_relaxed);
  w.counted = now;
}

u32 patience() {
  const u32 longest = longest_stretch.load(std::memory_order_relaxed);
  return longest * far_longer > budget_ticks ? longest * far_longer : budget_ticks;
}

void begin_stretch(Watch& w, u64 progress) {
  u32 longest = longest_stretch.load(std::memory_order_relaxed);
  while (w.quiet > longest && !longest_stretch.compare_exchange_weak(longest, w.quiet)) {
  }
  w.progress = progress;
  w.quiet = 0;
  w.look_from = 0;
  w.memory = w.memory_seen = 0;
  w.suspects.forget();
  w.service.want_snapshot(progress);
  probes::look_again();
}

// A walk that found nothing (code without call frame information, a coroutine's stack) proves
// nothing: what was seen before is forgotten.
void look(Watch& w, const Registers& registers) {
  Activation room[256];
  const std::span<const Activation> stack = look_at_stack(registers, room);
  if (!stack.empty()) {
    w.suspects.look(stack);
  }
  if (stack.empty() || w.suspects.shared().empty()) {
    w.suspects.forget();
  }
}

void end_by_abort(const SignalContext& signal) {
  static siginfo_t info;
  info.si_signo = SIGABRT;
  info.si_code = SI_TKILL;
  SignalContext end{SIGABRT, &info, signal.context};
  probes::die(end);
}

void raise_alarm(Watch& w, FaultKind kind, u64 used, const Registers& registers,
                 SignalContext& signal) {
  const options::HangAction action = runtime.options.hang_action;
  Hang hang{};
  hang.fault.kind = kind;
  hang.fault.registers = registers;
  hang.used = used;
  hang.looks = w.suspects.looks();
  hang.loop = w.suspects.shared().front();
  hang.service = &w.service;
  const bool alarm = action == options::HangAction::record;
  w.look_from = w.quiet * 2;
  w.suspects.forget();
  if (!record_hang(hang, alarm ? &w.alarm : nullptr)) {
    return;
  }
  w.look_from = ~0U;
  w.standing = alarm;
  probes::look_again();
  if (action == options::HangAction::abort) {
    end_by_abort(signal);
  }
}

void on_quiet_tick(Watch& w, const Registers& registers, SignalContext& signal) {
  ++w.quiet;
  if (w.standing || w.quiet < w.look_from || !eligible(w)) {
    return;
  }
  const u64 growth_limit = runtime.options.growth_megabytes << 20;
  const u64 memory = growth_limit != 0 ? peak_memory() : 0;
  if (w.memory == 0 || memory == w.memory_seen) {
    w.memory = memory;  // growing means: from tick to tick
  }
  w.memory_seen = memory;
  const u64 growth = memory - w.memory;
  const bool growing = growth_limit != 0 && growth >= growth_limit / 8;
  const bool late = w.quiet > patience();
  if (!late && !growing) {
    return;
  }
  look(w, registers);
  if (growing && growth >= growth_limit && w.suspects.looks() >= growth_looks) {
    raise_alarm(w, FaultKind::memory_growth, growth, registers, signal);
  } else if (late && w.suspects.looks() >= enough_looks) {
    raise_alarm(w, FaultKind::time_out, w.quiet * interval_ns(), registers, signal);
  }
}

void on_tick(SignalContext& signal) {
  Watch* w = own_watch();
  if (w == nullptr || probes::in_vfork_child()) {
    return;
  }
  Registers registers = probes::registers_of(*signal.context);
  const Ticked ticked = tick(*signal.context, interval_ns(), registers);
  const u64 progress = probes::progress_count();
  if (progress != w->progress) {
    begin_stretch(*w, progress);
  } else if (ticked != Ticked::region) {
    on_quiet_tick(*w, registers, signal);
  }
}

void withdraw(Watch& w) {
  if (w.standing) {
    runtime.store.journal.take_back(w.alarm);
    w.standing = false;
  }
}

// Workers have made calls before the first connection was accepted, and were of no interest then.
void announce_serving() {
  static constinit std::atomic<bool> announced{false};
  if (probes::serves() && !announced.load(std::memory_order_relaxed) && !announced.exchange(true)) {
    probes::look_again_everywhere();
  }
}

}  // namespace

void start_hang_watch() {
  if (runtime.options.hang_seconds != 0 && probes::take_timer_signal()) {
    watch_thread();
  }
}

void watch_thread() {
  if (Watch* w = own_watch()) {
    w->born = w->progress = w->counted = probes::progress_count();
    w->service.want_snapshots(w->born);
    probes::start_cpu_timer(interval_ns());
    probes::look_again();
  }
}

// The child's copy of an alarm is its parent's business.
void watch_after_fork() {
  probes::forget_cpu_timer();
  if (Watch* w = own_watch()) {
    count_turns(*w);
    w->standing = false;
    w->quiet = 0;
    w->suspects.forget();
    watch_thread();
  }
}

void end_watch() {
  if (Watch* w = own_watch()) {
    withdraw(*w);
    count_turns(*w);
  }
}

const Service* service_of_thread() {
  const Watch* w = own_watch();
  return w == nullptr ? nullptr : &w->service;
}

bool note_service() {
  Watch* w = own_watch();
  if (w == nullptr) {
    return true;
  }
  withdraw(*w);
  count_turns(*w);
  announce_serving();
  const bool of_interest =
      probes::serves() || runtime.options.hang_scope == options::HangScope::all;
  return !of_interest || w->service.look(probes::progress_count());
}

bool is_of_service(const Activation& activation) {
  const Watch* w = own_watch();
  return w != nullptr && w->service.certain() && w->service.holds(activation);
}

bool on_timer(SignalContext& signal) {
  if (probes::is_cpu_tick(*signal.info)) {
    on_tick(signal);
    return true;
  }
  return on_wait_timer(*signal.info, *signal.context);
}

}  // namespace selfheal::runtime
