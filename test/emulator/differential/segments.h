// Segment registers and the GS base: snippets may change them, and no runner puts them back.
#pragma once

#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

struct SegmentState {
  u64 gs_base;
  u16 ds, es, gs;

  static SegmentState read() {
    SegmentState s{};
    asm volatile("rdgsbase %0" : "=r"(s.gs_base));
    asm volatile("mov %%ds, %0" : "=r"(s.ds));
    asm volatile("mov %%es, %0" : "=r"(s.es));
    asm volatile("mov %%gs, %0" : "=r"(s.gs));
    return s;
  }
  bool operator==(const SegmentState&) const = default;
  void write() const {
    asm volatile("mov %0, %%ds" : : "r"(ds));
    asm volatile("mov %0, %%es" : : "r"(es));
    asm volatile("mov %0, %%gs" : : "r"(gs));
    asm volatile("wrgsbase %0" : : "r"(gs_base));
  }
};

inline void capture_segments(State& s) {
  const SegmentState now = SegmentState::read();
  s.gs_base = now.gs_base;
  s.selectors = now.ds | static_cast<u64>(now.es) << 16 | static_cast<u64>(now.gs) << 32;
}

inline void set_segments(const SegmentState& wanted) {
  if (!(SegmentState::read() == wanted)) {
    wanted.write();
  }
}

inline SegmentState segments_of(const State& s) {
  return {s.gs_base, static_cast<u16>(s.selectors), static_cast<u16>(s.selectors >> 16),
          static_cast<u16>(s.selectors >> 32)};
}

}  // namespace selfheal::differential
