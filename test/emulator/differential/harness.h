// Runs a snippet natively and in the engine from the same state, and compares.
#pragma once

#include <span>
#include <string>

#include "test/emulator/differential/machine_state.h"

namespace selfheal::differential {

enum class Verdict : u8 { equal, different, unsupported };

class Harness {
 public:
  Harness();

  // Where the next snippet will be placed: an operand relative to rip can be aimed with it.
  u64 next_place() const { return place_; }
  // Why the engine declined the last one.
  const char* last_reason() const;
  // Runs `code` from `start` with `data` in the data pages. `report` says what differs.
  Verdict compare(std::span<const u8> code, const State& start, std::span<const u8> data,
                  std::string& report);

 private:
  void put(std::span<const u8> code);
  void prepare_engine(const State& start, std::span<const u8> data, Result& result);
  bool collect_engine(const State& start, std::span<const u8> data, Result& result,
                      std::string& report);
  void collect_native(Result& result);

  u64 place_;
  u64 current_ = 0;
};

// "48 89 c8   mov rax, rcx", a line each.
std::string disassemble(std::span<const u8> code, u64 at);

}  // namespace selfheal::differential
