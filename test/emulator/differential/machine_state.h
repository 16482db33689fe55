// A full user-mode state, as the runner loads and stores it, and what became of a run.
#pragma once

#include <string>

#include "lib/base/registers.h"
#include "lib/base/types.h"
#include "test/emulator/differential/arena.h"
#include "test/emulator/differential/processor.h"

namespace selfheal::differential {

inline constexpr u64 vector_bytes = 2816;

struct State {
  u64 gpr[gpr_count];
  u64 rflags;
  u64 rip;
  u64 gs_base;
  u64 selectors;                         // ds, es, gs: 16 bits each
  alignas(64) u8 vectors[vector_bytes];  // XSAVE, standard format
};

// Where the standard format has its components, size 0: not here; asked once, as CPUID leaves the
// virtual machine.
struct XsaveLayout {
  u32 size[8];
  u32 offset[8];
  XsaveLayout();
};
const XsaveLayout& xsave_layout();

struct FaultSeen {
  bool any = false;
  u8 trap = 0;
  i32 code = 0;
  u64 address = 0;
  u64 error = 0;
  u64 rip = 0;

  bool operator==(const FaultSeen&) const = default;
};

struct Result {
  State state;
  FaultSeen fault;
  Image memory;
};

// What an instruction leaves different from one run to the next.
struct Volatile {
  u64 gpr[gpr_count] = {};  // bits
  bool flags = false;
};

bool same(const Result& native, const Result& engine, const Volatile& ignored);
// A line each.
std::string differences(const Result& native, const Result& engine);
// Both columns of registers, and every change of memory.
std::string side_by_side(const State& start, const Image& before, const Result& native,
                         const Result& engine);

}  // namespace selfheal::differential
