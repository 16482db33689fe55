// Runs one random program natively and as a region that is rolled back, and compares: at the fault
// everything it has written, after the rollback everything with the state at entry.
#pragma once

#include <span>
#include <string>

#include "lib/base/types.h"

namespace selfheal::rollback {

struct Run {
  u64 seed;      // of the data and registers
  u64 bomb;      // which tick of the counter faults
  u64 locality;  // mask of the offsets into the data
};

struct Report {
  bool faulted;
  bool left;  // the engine, for another stack: only the rollback could be compared
  u64 ticks;  // of the bomb's counter, natively
  u64 bytes_undone;
  std::string text;  // empty: all equal
};

class Checker {
 public:
  Checker();
  // Puts a program where it can be run; its address.
  u64 place(std::span<const u8> code);
  Report check(u64 program, const Run& run);

 private:
  u64 next_place_;
};

}  // namespace selfheal::rollback
