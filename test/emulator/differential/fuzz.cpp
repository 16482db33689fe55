// fuzz [instances] [seed] [snippet]: random code from random states, in the engine and on the
// processor, must agree on everything. A failure prints the code, what differs, both columns of
// registers, the writes, and the command that replays it.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/time.h>
#include <unistd.h>

#include "test/emulator/differential/disassemble.h"
#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/regressions.h"
#include "test/emulator/differential/statistics.h"

using namespace selfheal;
using namespace selfheal::differential;

namespace {

constexpr unsigned states_per_snippet = 6;
constexpr unsigned states_per_regression = 300;
constexpr u64 most_differences = 20;
constexpr u64 first_regression = 600'000;  // their numbers, behind all snippets of a process

class Fuzzer {
 public:
  explicit Fuzzer(u64 seed) : seed_(seed) {}

  void regressions_first();
  void snippet(u64 number, bool show);
  Statistics statistics;

 private:
  void run(Generator& g, const Generator::Drawn& drawn, u64 at, unsigned states,
           const char* replay);

  u64 seed_;
  Harness harness_;
  Image memory_;
  State state_;
};

void Fuzzer::run(Generator& g, const Generator::Drawn& drawn, u64 at, unsigned states,
                 const char* replay) {
  const Snippet snippet{drawn.code.all(), at, drawn.ignored, drawn.moves_stack};
  harness_.arena.put(at, drawn.code.all());
  g.fill(memory_);
  for (unsigned i = 0; i < states; ++i) {
    g.fill(state_, memory_, drawn.code);
    const Verdict verdict = harness_.compare(snippet, state_, memory_);
    statistics.count(verdict, harness_, snippet);
    if (verdict == Verdict::different) {
      std::printf("DIFFERENT  state %u of: %s\n%s\n", i, replay,
                  harness_.report(snippet, state_, memory_).c_str());
      return;
    }
  }
}

Code from_hexadecimal(const char* text) {
  Code code;
  for (; text[0] != 0; text += 2) {
    const char digits[3] = {text[0], text[1], 0};
    code.push_back(static_cast<u8>(std::strtoul(digits, nullptr, 16)));
  }
  return code;
}

void Fuzzer::regressions_first() {
  u64 number = first_regression;
  for (const Regression& r : regressions()) {
    Generator g(seed_);
    run(g, Generator::describe(from_hexadecimal(r.code)), Arena::place(number++),
        states_per_regression, r.what);
  }
}

void Fuzzer::snippet(u64 number, bool show) {
  char replay[96];
  std::snprintf(replay, sizeof replay, "engine_fuzz 1 %llu %llu",
                static_cast<unsigned long long>(seed_), static_cast<unsigned long long>(number));
  Generator g(Random(seed_ ^ Random(number).next()).next());
  const u64 at = Arena::place(number);
  const Generator::Drawn drawn = g.snippet(at);
  if (show) {
    std::printf("%s", disassemble(drawn.code.all(), at).c_str());
  }
  run(g, drawn, at, states_per_snippet, replay);
}

volatile u64 current_snippet = 0;

// Only when engine and processor disagree about an end can a snippet hang.
void on_alarm(int) {
  std::printf("a snippet hangs: %llu\n", static_cast<unsigned long long>(current_snippet));
  std::_Exit(4);
}

// They are drawn all the same: an engine that reads registers which are not there would show.
void say_what_is_missing() {
  for (const Feature& feature : {avx, avx2, avx512f, avx512bw, avx512vl, avx512vbmi2}) {
    if (!has(feature)) {
      std::printf("no %s here: its instructions must be undefined in both\n", feature.name);
    }
  }
}

void watch_for_hangs() {
  struct sigaction action {};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_ONSTACK;  // the stack pointer is the snippet's
  sigaction(SIGALRM, &action, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto argument = [&](int i, u64 otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 0) : otherwise;
  };
  const u64 instances = argument(1, 100000);
  const u64 seed = argument(2, 1);
  const u64 only = argument(3, ~u64{0});
  std::printf("seed %llu, %llu instances\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(instances));
  say_what_is_missing();
  watch_for_hangs();
  Fuzzer fuzzer(seed);
  const auto begin = std::chrono::steady_clock::now();
  if (only != ~u64{0}) {
    fuzzer.snippet(only, true);
  } else {
    fuzzer.regressions_first();
  }
  for (u64 i = 0;
       only == ~u64{0} && i < first_regression && fuzzer.statistics.instances < instances &&
       fuzzer.statistics.different < most_differences;
       ++i) {
    if (i % 1024 == 0) {
      alarm(30);
    }
    current_snippet = i;
    fuzzer.snippet(i, false);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fuzzer.statistics.print(took.count());
  return fuzzer.statistics.different == 0 ? 0 : 1;
}
