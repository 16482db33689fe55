// What a run has covered, and what it has not.
#pragma once

#include <Zydis/Zydis.h>
#include <bitset>
#include <map>
#include <string>

#include "test/emulator/differential/harness.h"

namespace selfheal::differential {

class Statistics {
 public:
  void count(Verdict verdict, const Harness& harness, const Snippet& snippet);

  u64 instances = 0;  // instructions executed in the engine
  u64 snippets = 0;
  u64 different = 0;

  void print(double seconds) const;

 private:
  u64 declined_ = 0;
  u64 endless_ = 0;
  std::map<std::string, u64> by_reason_;  // "reason: mnemonic"
  std::map<unsigned, u64> by_trap_;       // how snippets faulted
  // Of instructions that stood alone: which have been executed to their end, which have faulted.
  std::bitset<ZYDIS_MNEMONIC_MAX_VALUE + 1> completed_;
  std::bitset<ZYDIS_MNEMONIC_MAX_VALUE + 1> faulted_;
};

}  // namespace selfheal::differential
