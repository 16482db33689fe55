#include "lib/runtime/fault_path.h"

#include <algorithm>
#include <array>
#include <span>
#include <unistd.h>

#include "emulator/engine.h"
#include "lib/base/text.h"
#include "lib/recover/diagnose.h"
#include "lib/recover/lost_return.h"
#include "lib/report/report.h"
#include "lib/runtime/abort_clues.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/eager.h"
#include "lib/runtime/fail_stop.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/heap_probe.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/stack_bounds.h"
#include "lib/runtime/stack_search.h"
#include "lib/runtime/symbolize.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

using probes::SignalContext;
using probes::Verdict;

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
constexpr unsigned diagnosis_count = 16;
constinit Diagnosis diagnoses[diagnosis_count] = {};
constinit thread_local Diagnosis* prepared = nullptr;

Diagnosis* take_diagnosis() {
  for (Diagnosis& candidate : diagnoses) {
    if (!candidate.taken.exchange(true)) {
      return &candidate;
    }
  }
  return nullptr;
}

// A fault in a moved instruction of an entry patch belongs to where the instruction came from.
Fault in_original_code(const Fault& fault) {
  Fault moved = fault;
  moved.registers.rip = runtime.patcher.original_address(fault.registers.rip);
  return moved;
}

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

// A corrupt stack costs the walk.
void walk_from(Diagnosis& diagnosis) {
  diagnosis.frames[0] = {diagnosis.fault.registers, 0xffff, true};
  if (!probes::guarded(&walk, &diagnosis)) {
    diagnosis.frame_count = 1;
  }
  if (diagnosis.fault.kind == FaultKind::exec_violation) {
    probes::guarded(&look_below, &diagnosis);
  }
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

void stamp(FaultRecord& record) {
  record.time_ns = realtime_ns();
  record.pid = static_cast<u32>(getpid());
  record.tid = static_cast<u32>(gettid());
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

// The frames of the probe that saw the fault are not the program's: the walk begins at `site`.
void begin_at(u64 site, Diagnosis& diagnosis) {
  unsigned first = 0;
  while (first < diagnosis.frame_count && diagnosis.frames[first].registers.rip != site) {
    ++first;
  }
  if (first == diagnosis.frame_count) {
    diagnosis.frames[0].registers.rip = site;
    diagnosis.frame_count = 1;
    first = 0;
  }
  for (unsigned i = 0; i + first < diagnosis.frame_count; ++i) {
    diagnosis.frames[i] = diagnosis.frames[i + first];
  }
  diagnosis.frame_count -= first;
  diagnosis.frames[0].exact = false;
  diagnosis.fault.registers = diagnosis.frames[0].registers;
}

Registers registers_here() {
  Registers here{};
  asm volatile(
      "movq %%rbx, %0\n\tmovq %%rbp, %1\n\tmovq %%rsp, %2\n\t"
      "movq %%r12, %3\n\tmovq %%r13, %4\n\tmovq %%r14, %5\n\tmovq %%r15, %6\n\t"
      "leaq (%%rip), %%rax\n\tmovq %%rax, %7"
      : "=m"(here.gpr[rbx]), "=m"(here.gpr[rbp]), "=m"(here.gpr[rsp]), "=m"(here.gpr[r12]),
        "=m"(here.gpr[r13]), "=m"(here.gpr[r14]), "=m"(here.gpr[r15]), "=m"(here.rip)
      :
      : "rax", "memory");
  return here;
}

// Set while this thread aborts because of a fault that is in the journal already.
constinit thread_local bool abort_expected = false;

bool is_expected(const SignalContext& signal) {
  return abort_expected && signal.signal == SIGABRT;
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

// Report last: the record is safe whatever happens here.
void finish(Diagnosis& diagnosis, store::Ticket* ticket = nullptr) {
  Printing printing{&diagnosis, write_down(diagnosis.record, ticket)};
  count_death(diagnosis.record.fault.kind, diagnosis.record.time_ns);
  if (reports_wanted()) {
    probes::guarded(&print, &printing);
  }
}

struct HangWalk {
  Diagnosis* diagnosis;
  const Activation* loop;
  unsigned from;  // the loop's frame
  bool found;
};

// Like walk(), but frames far inside of the loop's give way to those around it.
void walk_to_loop(void* argument) {
  HangWalk& hang = *static_cast<HangWalk*>(argument);
  constexpr unsigned room_outside = 8;
  auto& frames = hang.diagnosis->frames;
  const recover::StackBounds bounds = stack_bounds(frames[0].registers.gpr[rsp]);
  unsigned count = 1;
  while (count < frames.size() && recover::step(frames[count - 1], bounds, frames[count])) {
    const Registers& outer = frames[count].registers;
    if (!hang.found && Activation{outer.gpr[rsp], outer.rip} == *hang.loop) {
      hang.found = true;
      hang.from = count - 1;
    }
    ++count;
    if (!hang.found && count == frames.size() - room_outside) {
      frames[0] = frames[count - 1];
      count = 1;
    }
  }
  hang.diagnosis->frame_count = count;
}

void judge_hang(void* argument) {
  const HangWalk& hang = *static_cast<HangWalk*>(argument);
  Diagnosis& diagnosis = *hang.diagnosis;
  recover::diagnose(diagnosis.fault, std::span(diagnosis.frames).first(diagnosis.frame_count),
                    recover::live_image(), diagnosis.record, nullptr, hang.from);
}

// Somebody of the application's called it: it is neither main nor a thread's start routine.
bool has_a_caller(const Diagnosis& diagnosis, unsigned frame) {
  for (unsigned i = frame + 1; i < diagnosis.frame_count; ++i) {
    image::Module module;
    if (image::find_module(diagnosis.frames[i].lookup_address(), module) &&
        !image::is_system_library(module)) {
      return true;
    }
  }
  return false;
}

bool may_be_blamed(const Diagnosis& diagnosis, const Hang& hang) {
  const unsigned blamed = diagnosis.record.blamed_frame;
  if (diagnosis.record.region.size == 0 || blamed + 1 >= diagnosis.frame_count) {
    return false;
  }
  const Registers& caller = diagnosis.frames[blamed + 1].registers;
  return has_a_caller(diagnosis, blamed) && !hang.belongs_to_service({caller.gpr[rsp], caller.rip});
}

}  // namespace

bool record_hang(const Hang& hang, store::Ticket& ticket) {
  Diagnosis* diagnosis = take_diagnosis();
  if (diagnosis == nullptr) {
    return false;
  }
  diagnosis->fault = in_original_code(hang.fault);
  diagnosis->frames[0] = {diagnosis->fault.registers, 0xffff, true};
  diagnosis->record = {};
  HangWalk walked{diagnosis, &hang.loop, 0, false};
  const bool blamed = probes::guarded(&walk_to_loop, &walked) && walked.found &&
                      probes::guarded(&judge_hang, &walked) && may_be_blamed(*diagnosis, hang);
  if (blamed) {
    stamp(diagnosis->record);
    diagnosis->record.alarm = hang.alarm ? 1 : 0;
    diagnosis->record.detail.used = hang.used;
    diagnosis->record.detail.samples = hang.looks;
    finish(*diagnosis, &ticket);
  }
  diagnosis->taken.store(false);
  return blamed;
}

bool on_thread_fault(SignalContext& signal) {
  mcontext_t& machine = signal.context->uc_mcontext;
  if (signal.signal == SIGTRAP) {
    const u64 target = runtime.patcher.trap_target(static_cast<u64>(machine.gregs[REG_RIP]));
    if (target == 0) {
      return false;
    }
    machine.gregs[REG_RIP] = static_cast<greg_t>(target);
    return true;
  }
  if (!emulator::take_fault(signal.signal, *signal.info, *signal.context)) {
    return false;
  }
  stamp_fault();
  if (!probes::allowed(probes::Call::rt_sigreturn)) {
    emulator::resume_without_sigreturn(*signal.context);
  }
  return true;
}

void record_call_fault(const Fault& fault, u64 site, Witness witness) {
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return;
  }
  diagnosis->fault = fault;
  diagnosis->fault.registers = registers_here();
  diagnosis->frames[0] = {diagnosis->fault.registers, 0xffff, true};
  if (witness == Witness::alone || !probes::guarded(&walk, diagnosis)) {
    diagnosis->frame_count = 1;
  }
  begin_at(site, *diagnosis);
  diagnosis->story = {fault.kind, false, {}};
  diagnosis->stack = {};
  judge_stack(*diagnosis);
  finish(*diagnosis);
  diagnosis->taken.store(false);
}

void expect_abort() {
  abort_expected = true;
}

Verdict on_fault(const Fault& fault, SignalContext& signal) {
  if (is_expected(signal)) {
    return Verdict::die;
  }
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return Verdict::die;
  }
  diagnose(*diagnosis, fault);
  finish(*diagnosis);
  const bool recovered = recover_eagerly(
      diagnosis->record, std::span(diagnosis->frames).first(diagnosis->frame_count), signal);
  diagnosis->taken.store(false);
  return recovered ? Verdict::resume : Verdict::die;
}

void* on_prepare(const Fault& fault, SignalContext& signal) {
  if (is_expected(signal)) {
    return nullptr;
  }
  if (prepared == nullptr && !probes::in_vfork_child()) {
    prepared = take_diagnosis();
  }
  if (prepared != nullptr) {
    diagnose(*prepared, fault);
  }
  return prepared;
}

void on_commit(void* token) {
  finish(*static_cast<Diagnosis*>(token));
}

bool on_ends_anyway(void* token) {
  return static_cast<const Diagnosis*>(token)->story.certain;
}

void record_seen(const Seen& seen) {
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return;
  }
  diagnosis->fault = seen.fault;
  diagnosis->fault.registers = seen.frames[0].registers;
  diagnosis->fault = in_original_code(diagnosis->fault);
  diagnosis->story = {diagnosis->fault.kind, false, {}};
  diagnosis->stack.recursion.recursion.found = false;
  diagnosis->frame_count = 0;
  for (const recover::Frame& frame :
       seen.frames.first(std::min(seen.frames.size(), u64{max_frames}))) {
    diagnosis->frames[diagnosis->frame_count++] = frame;
  }
  judge_stack(*diagnosis);
  FaultRecord& record = diagnosis->record;
  if (!seen.attributed) {
    record.region = {};
    record.region.entry.module = no_module;
    record.blamed_frame = 0;
  }
  record.detail.samples = seen.samples;
  record.detail.used = seen.used;
  if (seen.message != nullptr) {
    Text(record.detail.message, sizeof record.detail.message) << seen.message;
  }
  finish(*diagnosis);
  diagnosis->taken.store(false);
}

void forget_prepared() {
  if (prepared != nullptr) {
    prepared->taken.store(false);
    prepared = nullptr;
  }
}

}  // namespace selfheal::runtime
