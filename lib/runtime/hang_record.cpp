#include "lib/runtime/hang_record.h"

#include <span>

#include "lib/base/text.h"
#include "lib/image/module.h"
#include "lib/recover/diagnose.h"
#include "lib/runtime/diagnosis.h"
#include "lib/runtime/service.h"
#include "lib/runtime/stack_bounds.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

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
  return has_a_caller(diagnosis, blamed) &&
         (hang.service == nullptr || !hang.service->holds({caller.gpr[rsp], caller.rip}));
}

void note_measures(const Hang& hang, FaultRecord& record) {
  record.detail.used = hang.used;
  record.detail.samples = hang.looks;
}

}  // namespace

bool record_hang(const Hang& hang, store::Ticket* ticket) {
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
    judge_levels(*diagnosis);
    stamp(diagnosis->record);
    diagnosis->record.alarm = ticket != nullptr ? 1 : 0;
    note_measures(hang, diagnosis->record);
    finish(*diagnosis, ticket);
  }
  give_back(*diagnosis);
  return blamed;
}

void record_where(const Hang& hang, const char* message) {
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return;
  }
  diagnosis->fault = in_original_code(hang.fault);
  diagnosis->story = {hang.fault.kind, false, {}};
  diagnosis->stack.recursion.recursion.found = false;
  walk_from(*diagnosis);
  judge_stack(*diagnosis);
  FaultRecord& record = diagnosis->record;
  record.region = {};
  record.region.entry.module = no_module;
  record.blamed_frame = 0;
  note_measures(hang, record);
  if (message != nullptr) {
    Text(record.detail.message, sizeof record.detail.message) << message;
  }
  finish(*diagnosis);
  give_back(*diagnosis);
}

}  // namespace selfheal::runtime
