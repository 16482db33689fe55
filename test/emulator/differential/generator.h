// Random instructions and states, from a seed.
#pragma once

#include <vector>

#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

class Generator {
 public:
  explicit Generator(u64 seed) : state_(seed * 2 + 1) {}

  u64 next();
  u64 below(u64 n) { return next() % n; }
  bool one_in(u64 n) { return below(n) == 0; }

  // An instruction that may run in user mode, as bytes; all encodings and opcode maps are drawn
  // alike. `at` is where it will stand: operands relative to rip are aimed at the data.
  std::vector<u8> instruction(u64 at);
  void fill(State& state);
  void fill(std::array<u8, data_size>& data);

 private:
  std::vector<u8> draw(u64 at);
  void operands(std::vector<u8>& code, u64 at);
  u64 value();

  u64 state_;
};

}  // namespace selfheal::differential
