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
  const recover::ImageView& image = recover::live_image();
  const u64 address = frame.lookup_address();
  image::Module module;
  image::Function function{};
  bool in_cold_part = false;
  return image.find_module(image.context, address, module) &&
         image.find_owner(image.context, module, address, function, in_cold_part) &&
         store::has_learned_error(runtime.store.functions, module.id,
                                  module.offset_of(function.start));
}

void look_up(void* argument) {
  Diagnosis& diagnosis = *static_cast<Diagnosis*>(argument);
  FaultRecord& record = diagnosis.record;
  unsigned level = 0;
  for (unsigned i = record.blamed_frame; i < diagnosis.frame_count && level < recorded_levels;
       ++i) {
    if (i != record.blamed_frame && (record.level_frames >> i & 1) == 0) {
      continue;
    }
    if (fails_as_learned(diagnosis.frames[i])) {
      record.evidence[level] = Evidence::learned;
    }
    ++level;
  }
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
