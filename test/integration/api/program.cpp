// program: blocks that are undone when they fault, in C++.
#include <cstdio>
#include <memory>
#include <mutex>
#include <selfheal/selfheal.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::vector<std::string> log;
std::mutex mutex;

__attribute__((noinline)) int length(const std::string* text) {
  return static_cast<int>(text->size());
}
SELFHEAL_PROTECT(length, -1)

void handle(const std::string* request) {
  const std::lock_guard lock(mutex);
  log.push_back("begun");
  log.push_back(*request + " with a tail that does not fit into the string itself");
  auto copy = std::make_unique<std::string>(log.back());
  log.back() = "done " + *copy;
}

}  // namespace

int main() {
  const std::string good = "good";
  std::printf("length %d %d\n", length(&good), selfheal_active() != 0 ? length(nullptr) : -1);

  std::printf("ran %d", selfheal::rescue([&] { handle(&good); }));
  std::printf(" log %zu\n", log.size());

  try {
    selfheal::rescue([] { throw std::runtime_error("thrown"); });
  } catch (const std::runtime_error& error) {
    std::printf("caught %s\n", error.what());
  }

  if (selfheal_active() == 0) {
    return 0;
  }
  std::string told;
  const bool ran = selfheal::rescue([&] { handle(nullptr); },
                                    [&](const selfheal_event& event) { told = event.fault; });
  std::printf("ran %d told %s log %zu lock %d\n", ran, told.c_str(), log.size(), mutex.try_lock());
}
