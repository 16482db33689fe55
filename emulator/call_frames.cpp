#include "emulator/call_frames.h"

#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

constexpr unsigned looked_at_after_a_system_call = 64;

u64 lowest_in(const CallFrame& frame, u64 begin, u64 end) {
  if (frame.canary >= begin && frame.canary < end) {
    return frame.canary;
  }
  return frame.slot >= begin && frame.slot < end ? frame.slot : 0;
}

}  // namespace

u64 guarded_in(Thread& t, u64 address, u64 size) {
  if (t.scratch == nullptr) {
    return 0;
  }
  CallFrames& calls = machine_of(t).calls;
  const u64 end = size > ~address ? ~u64{0} : address + size;
  const u64 begin = address - 7;  // a word that ends in there
  const u64 top = calls.watch_from + calls.watch_span;
  if (end <= t.guest.gpr[rsp] || begin >= top || machine_of(t).other_stack) {
    return 0;
  }
  calls.settle(t.guest.gpr[rsp]);
  for (u32 i = calls.depth + 1; i-- != 0;) {
    const CallFrame& frame = calls.frames[i];
    const u64 hit = lowest_in(frame, begin, end);
    if (hit != 0 && calls.guard[CallFrames::cell_of(hit)] >> 2 == hit >> 2) {
      return hit;
    }
    if (frame.slot >= end) {
      return 0;
    }
  }
  return 0;
}

u64 damaged_frame(Thread& t) {
  CallFrames& calls = machine_of(t).calls;
  if (machine_of(t).other_stack) {
    return 0;
  }
  calls.settle(t.guest.gpr[rsp]);
  const auto damaged = [&calls](const CallFrame& frame) -> u64 {
    if (frame.canary != 0 && raw_load<u64>(frame.canary) != calls.canary) {
      return frame.canary;
    }
    return calls.guarded(frame.slot) && raw_load<u64>(frame.slot) != frame.target ? frame.slot : 0;
  };
  for (u32 i = calls.depth + 1, n = 0; i-- != 0 && n < looked_at_after_a_system_call; ++n) {
    if (const u64 word = damaged(calls.frames[i]); word != 0) {
      return word;
    }
  }
  return 0;
}

}  // namespace selfheal::emulator
