// How `selfheal run` asks a program to look at itself: a signal with a value nobody sends by
// chance.
//
//   selfheal run ── rt_tgsigqueueinfo(SIGBUS, SI_QUEUE, value) ──► each thread in question
//
// One of the signals whose handler is ours in any case: others may be blocked (Apache's threads
// block all of them), or be the program's own. A value, not a shared word, because a thread that
// loops or waits for a lock looks at no word. Who may send it could as well kill the process.
#pragma once

#include <csignal>

#include "lib/base/fault.h"
#include "lib/base/types.h"

namespace selfheal {

inline constexpr int sample_signal = SIGBUS;

enum class SampleOrder : u8 {
  none = 0,
  look = 1,             // keep where this thread is now
  conclude_busy = 2,    // you used the processor between all looks: find what you are in, record it
  conclude_waiting = 3  // every thread of yours waits: record where this one does
};

struct SampleRequest {
  SampleOrder order = SampleOrder::none;
  FaultKind kind = FaultKind::none;  // time_out or memory_growth: what it is about
  u16 number = 0;                    // look: which one, from 0; conclude_…: MiB of memory in use
};

inline constexpr u64 sample_magic = 0x5368'536d'0000'0000;  // "ShSm"

constexpr u64 sample_value(const SampleRequest& request) {
  return sample_magic | u64{request.number} << 16 | u64{static_cast<u8>(request.kind)} << 8 |
         static_cast<u8>(request.order);
}

// SampleOrder::none when the value means nothing to us.
constexpr SampleRequest sample_request(u64 value) {
  const auto order = static_cast<u8>(value);
  const auto kind = static_cast<FaultKind>(static_cast<u8>(value >> 8));
  if ((value >> 32) != (sample_magic >> 32) || order == 0 ||
      order > static_cast<u8>(SampleOrder::conclude_waiting) ||
      (kind != FaultKind::time_out && kind != FaultKind::memory_growth)) {
    return {};
  }
  return {static_cast<SampleOrder>(order), kind, static_cast<u16>(value >> 16)};
}

static_assert(sample_request(sample_value({SampleOrder::look, FaultKind::time_out, 7})).number ==
              7);
static_assert(sample_request(SIGBUS).order == SampleOrder::none);

}  // namespace selfheal
