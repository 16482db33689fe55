// Answers a line each, and fails by throwing. Bugs: a NULL pointer where `names` has none, and a
// negative number of seconds.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "test/support/opaque.h"

namespace {

const char* const names[] = {"nut", "bolt", nullptr};
long checks;
long alive;

struct Count {
  explicit Count(long& counter) : counter_(counter) { ++counter_; }
  ~Count() { --counter_; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  long& counter_;
};

// Bug: a name that is none.
SELFHEAL_APART void check(const char* const* name) {
  ++checks;
  if (name[0][0] == '-') {
    --checks;
    throw std::invalid_argument("sign");
  }
}

// Bug: a step of nothing. Nothing of its own is thrown.
SELFHEAL_APART int order(int which, int step) {
  const Count count(alive);
  const int parts = 100 / step;
  check(names + which);
  return parts;
}

SELFHEAL_APART int order_firmly(int which) noexcept {
  return order(which, 2) + 1;
}

// The one who catches is run by the engine, when it has become a region itself. Bug: as above.
SELFHEAL_APART int try_order(int which, int step) {
  const int parts = 60 / step;
  try {
    return order(which, step) + parts;
  } catch (const std::logic_error& problem) {
    std::printf("(%s) ", problem.what());
    return -7;
  }
}

// Here the exception passes through a function that the engine may run.
SELFHEAL_APART int pass_on_order(int which, int step) {
  const Count count(alive);
  const int parts = 60 / step;
  return order(which, step) + parts;
}

SELFHEAL_APART void answer(const char* line) {
  const int which = std::atoi(line + 1) % 3;
  const int step = line[2] == '/' ? 0 : 5;
  try {
    switch (*line) {
      case 'o':
        std::printf("parts %d\n", order(which, step));
        break;
      case 't':
        std::printf("tried %d\n", try_order(which, step));
        break;
      case 'p':
        std::printf("passed %d\n", pass_on_order(which, step));
        break;
      case 'n':
        std::printf("firm %d\n", order_firmly(which));
        break;
      default:
        std::printf("checks %ld, alive %ld\n", checks, alive);
        break;
    }
  } catch (const std::exception& problem) {
    std::printf("refused: %s\n", problem.what());
  }
}

}  // namespace

int main() {
  char line[64];
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    if (*line == 'u') {
      std::printf("nobody catches %d\n", order(std::atoi(line + 1) % 3, 5));
    } else if (*line == 'a') {
      std::thread([&line] {
        const Count count(alive);
        answer(line + 1);
      }).join();
    } else {
      answer(line);
    }
  }
  return 0;
}
