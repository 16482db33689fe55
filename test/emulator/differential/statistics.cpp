#include "test/emulator/differential/statistics.h"

#include <algorithm>
#include <cstdio>

#include "test/emulator/differential/instruction_set.h"

namespace selfheal::differential {

void Statistics::count(Verdict verdict, const Harness& harness, const Snippet& snippet) {
  ++snippets;
  // A loop runs the same few instructions again and again: that is worth little more than once.
  constexpr u64 most = 12;
  instances += std::min(harness.instructions(), most);
  const FaultSeen& fault = harness.fault();
  if (fault.any) {
    ++by_trap_[fault.trap];
  }
  Decoded d;
  if (verdict == Verdict::equal && decode(snippet.code, d) && d.in.length == snippet.code.size()) {
    (fault.any ? faulted_ : completed_).set(d.in.mnemonic);
  }
  switch (verdict) {
    case Verdict::equal:
      break;
    case Verdict::different:
      ++different;
      break;
    case Verdict::endless:
      ++endless_;
      break;
    case Verdict::declined: {
      ++declined_;
      const u64 offset = harness.declined_at() - snippet.at;
      const char* mnemonic = "control went out of the snippet";
      if (offset < snippet.code.size()) {
        mnemonic = decode(snippet.code.subspan(offset), d) ? ZydisMnemonicGetString(d.in.mnemonic)
                                                           : "unknown bytes";
      }
      ++by_reason_[std::string(harness.reason()) + ": " + mnemonic];
      break;
    }
  }
}

void Statistics::print(double seconds) const {
  const auto number = [](u64 n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "%llu instances in %llu snippets, %llu different, %.1f s\n"
      "%llu snippets without end, not run natively; in %llu the engine let the processor go on "
      "(compared all the same)\n",
      number(instances), number(snippets), number(different), seconds, number(endless_),
      number(declined_));
  for (const auto& [trap, count] : by_trap_) {
    std::printf("  %8llu  ended in trap %u\n", number(count), trap);
  }
  std::printf("  mnemonics alone: %zu executed to their end, %zu more only faulted\n",
              completed_.count(), (faulted_ & ~completed_).count());
  std::printf("declined:\n");
  for (const auto& [what, count] : by_reason_) {
    std::printf("  %8llu  %s\n", number(count), what.c_str());
  }
}

}  // namespace selfheal::differential
