// How well it is known how a function says no, at one of its calls: what decides at which level
// recovery starts (store/levels.h).
//
//   parse_number   faults; a pure function                     granted
//   parse_list     void                                        nobody
//   read_config    returns -1 where it refuses, and its        own_error  ◄ fails in its place
//                  caller looks
//   serve
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/recover/choice.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

// Of a function whose exits are `own`; `faulted`: the region itself, not one further out.
// Signal-safe; a few hundred instructions decoded, and the functions that ends_the_process() asks.
Evidence evidence_of(const OwnExits& own, const HealedCall& site, FaultKind kind,
                     const ImageView& image, bool faulted);

// Calls `visit(level, i)` for the frames that the levels of a record made of `frame_count` frames
// are: the blamed one, and those outwards that could be rescue points.
template <typename Visit>
void for_each_level(const FaultRecord& record, unsigned frame_count, Visit visit) {
  unsigned level = 0;
  for (unsigned i = record.blamed_frame; i < frame_count && level < recorded_levels; ++i) {
    if (i == record.blamed_frame || (record.level_frames >> i & 1) != 0) {
      visit(level++, i);
    }
  }
}

// Fills record.evidence for the region and its levels. `frames` is what the record was made of. At
// most 6000 instructions a level, and what ends_the_process() asks; a level that another thread is
// in the way of stays unknown.
void weigh_levels(FaultRecord& record, std::span<const Frame> frames, const ImageView& image);

}  // namespace selfheal::recover
