// Runs a snippet from the same state in the engine and on the processor, and compares everything.
//
//   engine:  run ──► state A, memory A ──► roll back: memory must be what it was
//              └ stopped before its end (an instruction it declines, a fault it foresaw)?
//                put memory A back and let the processor go on from there: that is the promise
//   native:  run ──► state B, memory B;  A == B?
#pragma once

#include <span>
#include <string>

#include "test/emulator/differential/engine_side.h"
#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

struct Snippet {
  std::span<const u8> code;
  u64 at;
  Volatile ignored;
  bool moves_stack;  // other than by pushing and popping: where its frames were is not known
};

enum class Verdict : u8 {
  equal,
  declined,  // equal, but the engine let the processor do some of it
  endless,   // the engine's budget ran out: not run natively
  different,
};

class Harness {
 public:
  Harness();

  Arena arena;

  Verdict compare(const Snippet& snippet, const State& start, const Image& memory);

  // What is code to the engine, from now on.
  static void set_code(u64 at, u64 size);

  // Of the last comparison: what differs, and all that helps to see why.
  std::string report(const Snippet& snippet, const State& start, const Image& memory) const;
  // Of the last one that was declined: where, and why.
  u64 declined_at() const { return declined_at_; }
  const char* reason() const { return reason_; }
  const FaultSeen& fault() const { return native_.fault; }
  u64 instructions() const { return instructions_; }  // that the engine ran

 private:
  Verdict compare_once(const Snippet& snippet, const State& start, const Image& memory);
  void take_engine_fault(const EngineRun& run);
  void go_on_natively(const EngineRun& run);
  void check_foreseen(const Fault& foreseen);
  void check_rollback(const Snippet& snippet, const State& start, const Image& memory,
                      u64 stack_top);

  Result native_;
  Result engine_;
  std::string stopped_;    // why the engine stopped
  std::string complaint_;  // what is wrong besides differences
  u64 declined_at_ = 0;
  const char* reason_ = nullptr;
  bool has_no_end_ = false;
  u64 instructions_ = 0;
};

}  // namespace selfheal::differential
