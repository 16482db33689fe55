// engine_rollback [programs] [seed] [only]: random programs as regions, made to fault at a random
// instruction and rolled back. A failure prints the command that repeats just it.
#include <cstdio>
#include <cstdlib>

#include "test/emulator/differential/disassemble.h"
#include "test/emulator/rollback/check.h"
#include "test/emulator/rollback/generator.h"

using namespace selfheal;
using namespace selfheal::rollback;

namespace {

constexpr u64 localities[] = {0xffff, 0xfff, 0x3ff, 0x7f, 0x1f};
constexpr u64 never = u64{1} << 62;
constexpr unsigned runs_of_a_program = 8;
constexpr unsigned programs_with_a_ud2 = 3;

struct Totals {
  u64 programs = 0;
  u64 runs = 0;
  u64 faults = 0;
  u64 left = 0;
  u64 bytes = 0;
};

bool passes(Checker& checker, u64 program, std::span<const u8> code, const Run& run, Totals& totals,
            u64& ticks) {
  const Report report = checker.check(program, run);
  ++totals.runs;
  totals.faults += report.faulted ? 1 : 0;
  totals.left += report.left ? 1 : 0;
  totals.bytes += report.bytes_undone;
  ticks = report.ticks;
  if (!report.text.empty()) {
    std::printf("%sbomb %llu, locality %#llx:\n%s",
                differential::disassemble(code, program).c_str(),
                static_cast<unsigned long long>(run.bomb),
                static_cast<unsigned long long>(run.locality), report.text.c_str());
  }
  return report.text.empty();
}

bool run_program(Checker& checker, const Generator& generator, u64 seed, Totals& totals) {
  Random random(seed);
  const std::vector<u8> code = generator.program(random);
  const u64 program = checker.place(code);
  ++totals.programs;
  u64 ticks = 0;
  u64 unused = 0;
  for (unsigned i = 0; i < runs_of_a_program; ++i) {
    const u64 locality = localities[random.below(std::size(localities))];
    const u64 data = random.next();
    // To the end once, to learn how often the counter ticks; then to any of these.
    if ((i == 0 && !passes(checker, program, code, {data, never, locality}, totals, ticks)) ||
        (ticks != 0 && !passes(checker, program, code, {data, 1 + random.below(ticks), locality},
                               totals, unused))) {
      return false;
    }
  }
  for (unsigned i = 0; i < programs_with_a_ud2; ++i) {
    const std::vector<u8> broken = Generator::fault_somewhere(code, random);
    if (!passes(checker, checker.place(broken), broken, {random.next(), never, 0xfff}, totals,
                unused)) {
      return false;
    }
  }
  return true;
}

u64 number(int count, char** words, int index, u64 otherwise) {
  return index < count ? std::strtoull(words[index], nullptr, 0) : otherwise;
}

}  // namespace

int main(int count, char** words) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const u64 programs = number(count, words, 1, 1000);
  const u64 seed = number(count, words, 2, 1);
  std::printf("engine_rollback %llu %llu\n", static_cast<unsigned long long>(programs),
              static_cast<unsigned long long>(seed));
  Checker checker;
  const Generator generator;
  Totals totals;
  unsigned failures = 0;
  for (u64 i = 0; i < programs && failures < 5; ++i) {
    if (!run_program(checker, generator, seed + i, totals)) {
      ++failures;
      std::printf("again: %s 1 %llu\n\n", words[0], static_cast<unsigned long long>(seed + i));
    }
  }
  std::printf(
      "%llu programs, %llu runs: %llu faulted, %llu left early; %llu bytes undone, %u failures\n",
      static_cast<unsigned long long>(totals.programs),
      static_cast<unsigned long long>(totals.runs), static_cast<unsigned long long>(totals.faults),
      static_cast<unsigned long long>(totals.left), static_cast<unsigned long long>(totals.bytes),
      failures);
  return failures == 0 ? 0 : 1;
}
