// fuzz [instances] [seed]: random instructions, natively and in the engine, must agree on
// everything. A failure prints the code, what differs, and the command that replays it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/harness.h"

using namespace selfheal;
using namespace selfheal::differential;

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const u64 instances = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 100000;
  const u64 seed = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  const u64 only = argc > 3 ? std::strtoull(argv[3], nullptr, 0) : ~u64{0};
  std::printf("seed %llu, %llu instances\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(instances));
  Harness harness;
  static State state;
  static std::array<u8, data_size> data;
  u64 different = 0;
  u64 unsupported = 0;
  u64 counted = 0;
  std::map<std::string, u64> reasons;
  const auto begin = std::chrono::steady_clock::now();
  for (u64 i = 0; i < instances; ++i) {
    if (only != ~u64{0}) {
      i = only;
    }
    Generator g(seed * 0x10001 + i * 0x9e3779b1);
    g.fill(state);
    g.fill(data);
    std::vector<u8> code;
    const u64 length = 1 + g.below(2);
    for (u64 k = 0; k < length; ++k) {
      const auto one = g.instruction(harness.next_place() + code.size());
      code.insert(code.end(), one.begin(), one.end());
    }
    std::string report;
    switch (harness.compare(code, state, data, report)) {
      case Verdict::equal:
        break;
      case Verdict::unsupported:
        ++unsupported;
        ++reasons[harness.last_reason()];
        break;
      case Verdict::different:
        ++different;
        std::printf("DIFFERENT  replay: fuzz %llu %llu %llu\n%s\n",
                    static_cast<unsigned long long>(instances),
                    static_cast<unsigned long long>(seed), static_cast<unsigned long long>(i),
                    report.c_str());
        break;
    }
    ++counted;
    if (different >= 20 || only != ~u64{0}) {
      break;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu instances, %llu different, %llu unsupported, %.1f s\n",
              static_cast<unsigned long long>(counted), static_cast<unsigned long long>(different),
              static_cast<unsigned long long>(unsupported), took.count());
  for (const auto& [reason, count] : reasons) {
    std::printf("  unsupported: %s: %llu\n", reason.c_str(),
                static_cast<unsigned long long>(count));
  }
  return different == 0 ? 0 : 1;
}
