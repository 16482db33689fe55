// A full user-mode state, as the runner loads and stores it, and its comparison.
#pragma once

#include <array>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal::differential {

inline constexpr u64 data_base = 0x200000000000;
inline constexpr u64 data_size = 2 * page_size;
inline constexpr u64 vector_bytes = 2816;

struct State {
  u64 gpr[gpr_count];
  u64 rflags;
  u64 code;
  alignas(64) u8 vectors[4096];
};

struct FaultSeen {
  bool any = false;
  u8 trap = 0;
  u64 address = 0;
  bool write = false;
  u64 rip = 0;         // relative to the snippet
  bool early = false;  // the engine saw a NULL access coming: which of several faults the processor
                       // would have raised is not told
  bool two_operands = false;  // cmps: neither is the one which of two faults is told
};

struct Result {
  State state;
  FaultSeen fault;
  std::array<u8, data_size> data;
  std::array<u8, 128> stack;  // around the stack pointer of before
};

// One line a difference; empty when equal.
std::string differences(const Result& native, const Result& engine);

}  // namespace selfheal::differential
