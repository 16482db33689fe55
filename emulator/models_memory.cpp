// mem* and str*: run natively, their destination kept in one piece before.
//
// Everything that touches guest memory (measuring strings, keeping the destination, the call) is
// one guarded step. When it faults, what it has written is put back and the function is interpreted
// from its start, to fault as the processor would have it: overlapping copies and strcat must not
// run over their own half.
#include "emulator/call_frames.h"
#include "emulator/heap_view.h"
#include "emulator/models_internal.h"

namespace selfheal::emulator {

namespace {

struct Range {
  u64 begin;
  u64 size;
  bool declined = false;  // a failing check: abort() is for the function's own code to call
};

u64 length(u64 string) {
  return call_at(native_functions.strlen, string);
}

u64 bounded_length(u64 string, u64 limit) {
  return call_at(native_functions.strnlen, string, limit);
}

using Destination = Range (*)(const Thread& thread);

struct Step {
  Thread& thread;
  Destination destination;
  u64 result;
  EffectResult outcome;
};

void write_natively(void* argument) {
  auto& step = *static_cast<Step*>(argument);
  const Range range = step.destination(step.thread);
  const bool out_of_bounds = heap_view.holds(range.begin) && range.size != 0 &&
                             heap_view.check(range.begin, range.size, true) != FaultKind::none;
  if (range.declined || out_of_bounds) {
    step.outcome = EffectResult::interpret;
  } else if (guarded_in(step.thread, range.begin, range.size) != 0) {
    step.outcome = EffectResult::interpret;  // up to the very store that goes too far
  } else if (!step.thread.log.save(range.begin, range.size)) {
    step.outcome = EffectResult::log_full;
  } else {
    step.result = call_native(step.thread);
  }
}

EffectResult writes(Thread& thread, Destination destination) {
  Step step{thread, destination, 0, EffectResult::done};
  const u64 mark = thread.log.mark();
  if (!guarded_call(thread, write_natively, &step)) {
    thread.log.back_to(mark);
    return EffectResult::interpret;
  }
  return step.outcome == EffectResult::done ? returns(thread, step.result) : step.outcome;
}

Range of_string(const Thread& thread) {
  return {argument(thread, 0), length(argument(thread, 1)) + 1};
}

Range after_string(const Thread& thread) {
  const u64 to = argument(thread, 0);
  return {to + length(to), length(argument(thread, 1)) + 1};
}

}  // namespace

// (destination, source or byte, size)
EffectResult model_copy(Thread& thread) {
  return writes(thread, [](const Thread& t) { return Range{argument(t, 0), argument(t, 2)}; });
}

// (destination, source or byte, size, room)
EffectResult model_copy_checked(Thread& thread) {
  return argument(thread, 3) < argument(thread, 2) ? EffectResult::interpret : model_copy(thread);
}

EffectResult model_clear(Thread& thread) {
  return writes(thread, [](const Thread& t) { return Range{argument(t, 0), argument(t, 1)}; });
}

EffectResult model_string(Thread& thread) {
  return writes(thread, of_string);
}

// (destination, source, room)
EffectResult model_string_checked(Thread& thread) {
  return writes(thread, [](const Thread& t) {
    Range range = of_string(t);
    range.declined = range.size > argument(t, 2);
    return range;
  });
}

EffectResult model_append(Thread& thread) {
  return writes(thread, after_string);
}

EffectResult model_append_checked(Thread& thread) {
  return writes(thread, [](const Thread& t) {
    Range range = after_string(t);
    range.declined = range.begin + range.size - argument(t, 0) > argument(t, 2);
    return range;
  });
}

EffectResult model_append_bounded(Thread& thread) {
  return writes(thread, [](const Thread& t) {
    const u64 to = argument(t, 0);
    return Range{to + length(to), bounded_length(argument(t, 1), argument(t, 2)) + 1};
  });
}

EffectResult model_reads(Thread& thread) {
  Step step{thread, nullptr, 0, EffectResult::done};
  const bool completed = guarded_call(
      thread,
      [](void* argument) {
        auto& reading = *static_cast<Step*>(argument);
        reading.result = call_native(reading.thread);
      },
      &step);
  return completed ? returns(thread, step.result) : EffectResult::interpret;
}

}  // namespace selfheal::emulator
