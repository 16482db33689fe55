// One fault's diagnosis: from the thread's registers to a record in the journal and a report.
//
//   take_diagnosis ─► diagnose                 walk the stack, whose fault it was, the record
//                     (or its steps, by hand)
//                  ─► finish                   journal, then report
//                  ─► give_back
//
// All of it runs in a signal handler, or in ordinary context on a thread that is about to die; none
// of it allocates, locks or, until a report is printed, makes a system call.
#pragma once

#include <array>
#include <atomic>

#include "lib/base/record.h"
#include "lib/recover/abort_story.h"
#include "lib/recover/unwind.h"
#include "lib/runtime/stack_search.h"
#include "lib/store/journal.h"

namespace selfheal::runtime {

// Diagnosis of one fault: 30 KiB, too much for every thread's TLS, so threads share a few. One is
// taken for the time of a record; or, when the application's handler is asked first, until the
// thread's next fault or its end, because that handler may never come back.
struct Diagnosis {
  std::atomic<bool> taken;
  Fault fault;
  std::array<recover::Frame, max_frames> frames;
  unsigned frame_count;
  recover::AbortStory story;
  StackSearch stack;
  FaultRecord record;
};
// Null: all are taken.
Diagnosis* take_diagnosis();
inline void give_back(Diagnosis& diagnosis) {
  diagnosis.taken.store(false);
}

// A fault in a moved instruction of an entry patch belongs to where the instruction came from.
Fault in_original_code(const Fault& fault);

// The whole of it, for a fault that was raised by a signal.
void diagnose(Diagnosis& diagnosis, const Fault& fault);

// Its steps. Fills `frames` from fault.registers; a corrupt stack costs the walk.
void walk_from(Diagnosis& diagnosis);
// Fills `record` from fault, frames, story and stack.
void judge_stack(Diagnosis& diagnosis);
// Which of the functions on the stack may fail in the blamed one's place, and how well they know
// how.
void judge_levels(Diagnosis& diagnosis);
// Time, process and thread.
void stamp(FaultRecord& record);

// Journals the record, as an alarm where there is a ticket for it to fill, and reports it: last, as
// the record is safe whatever happens there.
void finish(Diagnosis& diagnosis, store::Ticket* ticket = nullptr);

}  // namespace selfheal::runtime
