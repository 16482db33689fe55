// Random snippets and the states they run from, from a seed.
//
//   encodings.cpp   one instruction, drawn by opcode map: legacy, VEX, EVEX; hand-written ones
//   topics.cpp      what a uniform draw hits too rarely: stack, strings, state images, branches
//   states.cpp      values
//   aim.cpp         registers and memory such that operands lie in the arena, at its borders
#pragma once

#include "test/emulator/differential/code.h"
#include "test/emulator/differential/harness.h"
#include "test/support/random.h"

namespace selfheal::differential {

using test::Random;

class Generator {
 public:
  explicit Generator(u64 seed) : random_(seed) {}

  // A snippet that will stand at `at`.
  struct Drawn {
    Code code;
    Volatile ignored;
    bool moves_stack = false;
  };
  Drawn snippet(u64 at);
  // The same for code that is given.
  static Drawn describe(Code code);

  void fill(Image& memory);
  // A state to run `code` from; may put something into memory for it.
  void fill(State& state, Image& memory, const Code& code);

 private:
  friend class Aim;

  // encodings.cpp
  Code draw();
  Code hand_written();
  Code raw_bytes();
  void operands(Code& code);
  // An instruction that may run at `at`; alone: nothing else will be in the snippet.
  Code instruction(u64 at, bool alone);
  bool suits(Code& code, u64 at, bool alone);

  // topics.cpp
  Code stack();
  Code string();
  Code state_image();
  Code block(u64 at);

  u64 data_address();
  u64 value();
  void fill_vectors(State& state);

  Random random_;
};

}  // namespace selfheal::differential
