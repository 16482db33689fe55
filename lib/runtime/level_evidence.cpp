#include "lib/runtime/level_evidence.h"

#include "lib/recover/evidence.h"
#include "lib/recover/image_view.h"
#include "lib/runtime/runtime.h"
#include "lib/store/functions.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

std::span<const recover::Frame> frames_of(const Diagnosis& diagnosis) {
  return std::span(diagnosis.frames).first(diagnosis.frame_count);
}

void weigh_on_paper(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  recover::weigh_levels(diagnosis.record, frames_of(diagnosis), recover::live_image());
}

bool fails_as_learned(const recover::Frame& frame) {
  image::Module module;
  image::Function function{};
  return recover::find_owner(recover::live_image(), frame.lookup_address(), module, function) &&
         store::has_learned_error(runtime.store.functions, module.id,
                                  module.offset_of(function.start));
}

void look_up(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  FaultRecord& record = diagnosis.record;
  recover::for_each_level(record, diagnosis.frame_count, [&](unsigned level, unsigned i) {
    if (fails_as_learned(diagnosis.frames[i])) {
      record.evidence[level] = Evidence::learned;
    }
  });
}

}  // namespace

void weigh_levels(Diagnosis& diagnosis) {
  if (diagnosis.record.region.size == 0) {
    return;
  }
  if (runtime.options.weigh_levels) {
    probes::guarded(&weigh_on_paper, &diagnosis);
  }
  if (!runtime.store.functions.entries().empty()) {
    probes::guarded(&look_up, &diagnosis);
  }
}

}  // namespace selfheal::runtime
