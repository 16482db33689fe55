// A server of its arguments: each is a request that fails on its way, for the first time. What its
// frames hold has to be given back, once each; what they changed stays changed.
#include <cstdio>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <stdexcept>

#include "test/support/opaque.h"

namespace {

int held = 0;   // by objects that live
int wrong = 0;  // objects destroyed that did not live
std::mutex mutex;
volatile int changes = 0;

// Knows whether it lives.
class Holder {
 public:
  Holder() : self_(this) { ++held; }
  ~Holder() {
    wrong += self_ != this ? 1 : 0;
    self_ = nullptr;
    --held;
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  // Something that might throw, as far as the compiler knows.
  SELFHEAL_OPAQUE void use() const {
    if (self_ != this) {
      throw std::logic_error("used after its end");
    }
  }

 private:
  const Holder* self_;
};

// May throw.
SELFHEAL_OPAQUE int length_of(const char* text) {
  if (changes == -1) {
    throw std::runtime_error(text);
  }
  return static_cast<int>(std::strlen(text));
}

// Has nowhere to return to: who calls it is blamed.
[[noreturn]] SELFHEAL_OPAQUE void give_up(const char* text) {
  const Holder own;
  own.use();
  own.use();
  changes = *text;
  own.use();
  throw std::runtime_error("gave up");
}

// The fault is in the function itself, between two calls.
SELFHEAL_OPAQUE int of_its_own(const char* text) {
  const std::lock_guard<std::mutex> guard(mutex);
  const Holder first;
  first.use();
  changes = changes + 1;
  const int value = *text;
  first.use();
  return value == '!' ? -1 : value;
}

// The fault is in libc, called from where two objects live, and a third one did.
SELFHEAL_OPAQUE int in_libc(const char* text) {
  const Holder first;
  {
    const Holder gone;
    gone.use();
  }
  const std::lock_guard<std::mutex> guard(mutex);
  if (length_of("") != 0) {
    return -1;
  }
  const int length = static_cast<int>(std::strlen(text));
  first.use();
  return length == 1000 ? -1 : length;
}

// Two frames are left, and both clean up.
SELFHEAL_OPAQUE int two_frames(const char* text) {
  const Holder first;
  if (changes == -1) {
    return -1;
  }
  if (text == nullptr || *text != 'x') {
    give_up(text);
  }
  return 1;
}

// It would catch anything, and go on: it is left all the same, by its caller's error.
SELFHEAL_OPAQUE int that_catches(const char* text) {
  try {
    if (length_of("") != 0) {
      return -1;
    }
    return static_cast<int>(std::strlen(text));
  } catch (...) {
    return 7;
  }
}

// An exception would end the program here.
SELFHEAL_OPAQUE int that_never_throws(const char* text) noexcept {
  const Holder own;
  own.use();
  if (changes == -1) {
    return -1;
  }
  return static_cast<int>(std::strlen(text));
}

const struct {
  const char* name;
  int (*request)(const char*);
} requests[] = {
    {"of_its_own", of_its_own},
    {"in_libc", in_libc},
    {"two_frames", two_frames},
    {"that_catches", that_catches},
    {"that_never_throws", that_never_throws},
};

}  // namespace

int main(int count, char** words) {
  for (int i = 1; i < count; ++i) {
    for (const auto& [name, request] : requests) {
      if (std::strcmp(words[i], name) != 0) {
        continue;
      }
      const int result = request(nullptr);
      const bool locked = !mutex.try_lock();
      if (!locked) {
        mutex.unlock();
      }
      std::printf("%s: %s, %d held, %d wrong, %s\n", name, result < 0 ? "refused" : "done", held,
                  wrong, locked ? "locked" : "free");
      std::fflush(stdout);
      poll(nullptr, 0, 0);  // the next request
      held = 0;
    }
  }
}
