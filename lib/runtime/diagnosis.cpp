#include "lib/runtime/diagnosis.h"

#include <span>
#include <unistd.h>

#include "emulator/engine.h"
#include "lib/recover/diagnose.h"
#include "lib/recover/lost_return.h"
#include "lib/report/report.h"
#include "lib/runtime/abort_clues.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/fail_stop.h"
#include "lib/runtime/hang.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/heap_probe.h"
#include "lib/runtime/level_evidence.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_bounds.h"
#include "lib/runtime/sticking.h"
#include "lib/runtime/symbolize.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

constexpr unsigned diagnosis_count = 16;
constinit Diagnosis diagnoses[diagnosis_count] = {};

void walk(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  const Registers& registers = diagnosis.fault.registers;
  diagnosis.frame_count =
      recover::unwind(registers, stack_bounds(registers.gpr[rsp]), diagnosis.frames);
}

void look_below(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  recover::Frame left;
  if (recover::find_lost_return(diagnosis.fault.registers, recover::live_image(), left)) {
    diagnosis.frames[1] = left;
    diagnosis.frame_count = 2;
  }
}

// The heap was found damaged by what the engine calls natively, on its own stack: by a malloc for
// the guest, or by the frees that a commit makes up for. To blame is the guest; a committing
// region is as a whole.
const Registers* guest_that_aborted(const Fault& fault) {
  const emulator::Thread& thread = emulator::this_thread;
  const bool on_engine_stack = fault.registers.gpr[rsp] - thread.memory < thread.memory_size;
  if (!is_abort(fault.kind) || !on_engine_stack) {
    return nullptr;
  }
  switch (thread.state) {
    case emulator::ThreadState::native:
      return &thread.guest;
    case emulator::ThreadState::busy:
      return &thread.checkpoint;
    default:
      return nullptr;
  }
}

void tell(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  diagnosis.story = recover::tell_abort(std::span(diagnosis.frames).first(diagnosis.frame_count),
                                        recover::live_image(), abort_clues());
}

void judge(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  recover::diagnose(diagnosis.fault, std::span(diagnosis.frames).first(diagnosis.frame_count),
                    recover::live_image(), diagnosis.record, diagnosis.stack.found());
}

// What was done about the region here, and did not help.
u8 remedies_in_force(const Diagnosis& diagnosis) {
  const FaultRecord& record = diagnosis.record;
  if (record.region.size == 0 || record.blamed_frame >= diagnosis.frame_count) {
    return 0;
  }
  const u64 rip = diagnosis.frames[record.blamed_frame].registers.rip;
  const u64 bias = rip - record.frames[record.blamed_frame].offset;
  const i32 index = runtime.patcher.find(bias + record.region.entry.offset);
  return index < 0 ? 0 : region_at(static_cast<u64>(index)).remedies;
}

report::Kept write_down(const FaultRecord& record, store::Ticket* ticket = nullptr) {
  runtime.faults.fetch_add(1);
  store::Journal& journal = runtime.store.journal;
  switch (ticket == nullptr ? journal.record_fault(record)
                            : journal.record_alarm(record, *ticket)) {
    case store::Recorded::yes:
      return report::Kept::recorded;
    case store::Recorded::full:
      return report::Kept::journal_full;
    case store::Recorded::not_mapped:
      break;
  }
  return report::Kept::no_journal;
}

report::Outlook outlook_of(const FaultRecord& record, report::Kept kept) {
  report::Outlook outlook = report::default_outlook(record);
  outlook.kept = kept;
  if (outlook.next_time == report::NextTime::heal && !runtime.heals_faults()) {
    outlook.next_time = report::NextTime::observe;
  }
  return outlook;
}

struct Printing {
  const Diagnosis* diagnosis;
  report::Kept kept;
};

void print(void* argument) {
  const auto& [diagnosis, kept] = *static_cast<Printing*>(argument);
  const FaultRecord& record = diagnosis->record;
  forget_modules();
  for (unsigned i = 0; i < record.frame_count && i < diagnosis->frame_count; ++i) {
    note_module(record.frames[i], diagnosis->frames[i].registers.rip);
  }
  report::render_fault(record, outlook_of(record, kept), module_symbols(record.modules),
                       report_sink());
}

}  // namespace

Diagnosis* take_diagnosis() {
  for (Diagnosis& candidate : diagnoses) {
    if (!candidate.taken.exchange(true)) {
      return &candidate;
    }
  }
  return nullptr;
}

Fault in_original_code(const Fault& fault) {
  Fault moved = fault;
  moved.registers.rip = runtime.patcher.original_address(fault.registers.rip);
  return moved;
}

void walk_from(Diagnosis& diagnosis) {
  diagnosis.frames[0] = {diagnosis.fault.registers, 0xffff, true};
  if (!probes::guarded(&walk, &diagnosis)) {
    diagnosis.frame_count = 1;
  }
  if (diagnosis.fault.kind == FaultKind::exec_violation) {
    probes::guarded(&look_below, &diagnosis);
  }
}

void stamp(FaultRecord& record) {
  record.time_ns = realtime_ns();
  record.pid = static_cast<u32>(getpid());
  record.tid = probes::allowed(probes::Call::gettid) ? static_cast<u32>(gettid()) : record.pid;
}

// A service loop is no rescue point: it would take back what it did for others.
static void spare_service(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  for (unsigned i = 0; i + 1 < diagnosis.frame_count && i < max_frames; ++i) {
    const Registers& caller = diagnosis.frames[i + 1].registers;
    if (is_of_service({caller.gpr[rsp], caller.rip})) {
      diagnosis.record.level_frames &= ~(u32{1} << i);
    }
  }
}

void judge_levels(Diagnosis& diagnosis) {
  probes::guarded(&spare_service, &diagnosis);
  weigh_levels(diagnosis);
}

void judge_stack(Diagnosis& diagnosis) {
  diagnosis.record = {};
  if (!probes::guarded(&judge, &diagnosis)) {
    diagnosis.record.fault = diagnosis.fault;
    diagnosis.record.site = {diagnosis.fault.registers.rip, no_module, {}};
  }
  if (diagnosis.fault.kind == FaultKind::abort && !diagnosis.story.certain) {
    recover::spare_main(diagnosis.record, std::span(diagnosis.frames).first(diagnosis.frame_count),
                        recover::live_image());
  }
  name_heap_fault(diagnosis.record.fault);
  for (u64 i = 0; i < sizeof diagnosis.story.message; ++i) {
    diagnosis.record.detail.message[i] = diagnosis.story.message[i];
  }
  diagnosis.record.remedies = remedies_in_force(diagnosis);
  diagnosis.record.after_heal = pending_candidate();
  judge_levels(diagnosis);
  stamp(diagnosis.record);
  describe_chunk(diagnosis.record);
}

// A corrupt image costs the judgement; what is left is still recorded.
void diagnose(Diagnosis& diagnosis, const Fault& fault) {
  diagnosis.fault = in_original_code(seen_by_engine(fault));
  walk_from(diagnosis);
  diagnosis.story = {diagnosis.fault.kind, false, {}};
  if (diagnosis.fault.kind == FaultKind::abort && probes::guarded(&tell, &diagnosis)) {
    diagnosis.fault.kind = diagnosis.story.kind;
    if (const Registers* guest = guest_that_aborted(diagnosis.fault); guest != nullptr) {
      diagnosis.fault.registers = *guest;
      walk_from(diagnosis);
    }
  }
  search_stack(diagnosis.fault, diagnosis.frames, diagnosis.frame_count, diagnosis.stack);
  judge_stack(diagnosis);
}

void finish(Diagnosis& diagnosis, store::Ticket* ticket) {
  Printing printing{&diagnosis, write_down(diagnosis.record, ticket)};
  count_death(diagnosis.record.fault.kind, diagnosis.record.time_ns);
  if (reports_wanted()) {
    probes::guarded(&print, &printing);
  }
}

}  // namespace selfheal::runtime
