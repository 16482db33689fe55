#include "lib/runtime/asked.h"

#include <atomic>
#include <ctime>
#include <unistd.h>

#include "emulator/engine.h"
#include "lib/runtime/activations.h"
#include "lib/runtime/fault_path.h"
#include "lib/runtime/stack_bounds.h"
#include "probes/classify.h"

namespace selfheal::runtime {
namespace {

using probes::SignalContext;
using recover::Frame;

constexpr unsigned deepest = 128;  // frames; 20 KiB of the 64 of an alternate stack

// A thread's looks. More than a few threads at once would be no hang but a load.
struct Looks {
  std::atomic<int> thread;  // 0: free
  u32 count;
  u64 progress;  // blocking calls made when the first was taken
  u64 used;      // its processor time then, ns
  Activations activations;
};
constinit Looks looks[16] = {};

// Null: there is none, and none is free for a new one.
Looks* looks_of(int thread, bool take) {
  for (Looks& candidate : looks) {
    if (candidate.thread.load() == thread) {
      return &candidate;
    }
  }
  for (Looks& candidate : looks) {
    if (int nobody = 0; take && candidate.thread.compare_exchange_strong(nobody, thread)) {
      return &candidate;
    }
  }
  return nullptr;
}

struct Walk {
  Registers start;
  unsigned count;
  Frame frames[deepest];
};

void walk(void* argument) {
  Walk& walk = *static_cast<Walk*>(argument);
  walk.count =
      recover::unwind(walk.start, stack_bounds(walk.start.gpr[rsp]), std::span(walk.frames));
}

u64 processor_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

void take_look(Looks& mine, u32 round, std::span<const Frame> frames) {
  if (round == 0) {
    mine.count = 1;
    mine.progress = probes::progress_count();
    mine.used = processor_time();
    mine.activations.begin(frames);
  } else if (mine.count == round) {
    ++mine.count;
    mine.activations.keep_common(frames);
  }
}

Seen seen_by(const SampleRequest& request) {
  Seen seen{};
  seen.fault.kind = request.kind;
  return seen;
}

void conclude_busy(const SampleRequest& request, const Looks& mine, std::span<const Frame> frames) {
  const unsigned blamed = mine.activations.innermost(frames);
  Seen seen = seen_by(request);
  seen.attributed = blamed < frames.size() && probes::progress_count() == mine.progress;
  seen.frames = frames.subspan(seen.attributed ? blamed : 0);
  seen.samples = mine.count;
  seen.used = request.kind == FaultKind::memory_growth ? u64{request.number} << 20
                                                       : processor_time() - mine.used;
  record_seen(seen);
}

void conclude_waiting(const SampleRequest& request, std::span<const Frame> frames) {
  Seen seen = seen_by(request);
  seen.frames = frames;
  seen.message = "every thread waits; this one here";
  record_seen(seen);
}

}  // namespace

void on_asked(const SampleRequest& request, SignalContext& signal) {
  const emulator::ThreadState state = emulator::this_thread.state;
  if (state != emulator::ThreadState::absent && state != emulator::ThreadState::idle) {
    return;
  }
  Walk here;
  here.start = probes::registers_of(*signal.context);
  here.count = 0;
  if (!probes::guarded(&walk, &here) || here.count == 0) {
    return;
  }
  const std::span<const Frame> frames = std::span(here.frames).first(here.count);
  if (request.order == SampleOrder::conclude_waiting) {
    conclude_waiting(request, frames);
    return;
  }
  const bool look = request.order == SampleOrder::look;
  Looks* mine = looks_of(gettid(), look && request.number == 0);
  if (mine == nullptr) {
    return;
  }
  if (look) {
    take_look(*mine, request.number, frames);
  } else {
    conclude_busy(request, *mine, frames);
    mine->thread.store(0);
  }
}

}  // namespace selfheal::runtime
