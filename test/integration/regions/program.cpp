// A program whose `main` is run as a region. Arguments: what to do, one letter each.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace {

// Enough for an instruction count that start-up code cannot have made.
[[gnu::noinline]] unsigned work() {
  unsigned value = 1;
  for (unsigned i = 0; i < 100'000; ++i) {
    value = value * 1664525 + 1013904223 + i;
  }
  return value;
}

[[gnu::noinline]] int read_null(volatile int* nowhere) {
  return *nowhere + 1;
}

// The helper's result is used, and checked, so that a failed call can be told from a good one.
[[gnu::noinline]] int risky() {
  return read_null(nullptr);
}

}  // namespace

extern "C" [[gnu::noinline]] __attribute__((visibility("default"))) unsigned exported_work() {
  return work();
}

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  std::printf("%u\n", exported_work());
  try {
    throw std::runtime_error("caught");
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  std::fflush(stdout);
  switch (what.empty() ? '.' : what[0]) {
    case 'e':
      std::exit(3);
    case '_':
      _exit(4);
    case 'q':
      std::quick_exit(5);
    case 'c':
      return risky();
    default:
      return 2;
  }
}
