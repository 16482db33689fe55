#include "lib/runtime/asked.h"

#include <atomic>
#include <ctime>
#include <unistd.h>

#include "emulator/engine.h"
#include "lib/runtime/hang.h"
#include "lib/runtime/hang_record.h"
#include "lib/runtime/stack_looks.h"
#include "probes/classify.h"

namespace selfheal::runtime {
namespace {

using probes::SignalContext;

// A thread's looks. More than a few threads at once would be no hang but a load.
struct Looks {
  std::atomic<int> thread;  // 0: free
  u64 progress;             // blocking calls made when the first was taken
  u64 used;                 // its processor time then, ns
  SharedActivations<64> activations;
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

u64 processor_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

void take_look(Looks& mine, u32 round, std::span<const Activation> stack) {
  if (round == 0) {
    mine.progress = probes::progress_count();
    mine.used = processor_time();
    mine.activations.forget();
  }
  if (mine.activations.looks() == round) {  // else one was missed
    mine.activations.look(stack);
  }
}

Hang hang_of(const SampleRequest& request, const Registers& registers) {
  Hang hang{};
  hang.fault.kind = request.kind;
  hang.fault.registers = registers;
  hang.service = service_of_thread();
  return hang;
}

void conclude_busy(const SampleRequest& request, Looks& mine, const Registers& registers,
                   std::span<const Activation> stack) {
  Hang hang = hang_of(request, registers);
  hang.looks = mine.activations.looks();
  hang.used = request.kind == FaultKind::memory_growth ? u64{request.number} << 20
                                                       : processor_time() - mine.used;
  mine.activations.look(stack);
  const std::span<const Activation> shared = mine.activations.shared();
  const bool stuck = !shared.empty() && probes::progress_count() == mine.progress;
  if (stuck) {
    hang.loop = shared.front();
  }
  if (!stuck || !record_hang(hang, nullptr)) {
    record_where(hang, nullptr);
  }
}

}  // namespace

void on_asked(const SampleRequest& request, SignalContext& signal) {
  const emulator::ThreadState state = emulator::this_thread.state;
  if (state != emulator::ThreadState::absent && state != emulator::ThreadState::idle) {
    return;
  }
  const Registers registers = probes::registers_of(*signal.context);
  if (request.order == SampleOrder::conclude_waiting) {
    record_where(hang_of(request, registers), "every thread waits; this one here");
    return;
  }
  Activation room[256];
  const std::span<const Activation> stack = look_at_stack(registers, room);
  const bool look = request.order == SampleOrder::look;
  Looks* mine = looks_of(gettid(), look && request.number == 0);
  if (mine == nullptr || stack.empty()) {
    return;
  }
  if (look) {
    take_look(*mine, request.number, stack);
  } else {
    conclude_busy(request, *mine, registers, stack);
    mine->thread.store(0);
  }
}

}  // namespace selfheal::runtime
