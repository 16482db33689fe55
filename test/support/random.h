// splitmix64: one state word, so that every instance can be replayed alone from its number.
#pragma once

#include "lib/base/types.h"

namespace selfheal::test {

class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}

  u64 next() {
    state_ += 0x9e3779b97f4a7c15;
    u64 z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  u8 byte() { return static_cast<u8>(next() >> 24); }
  u64 below(u64 n) { return next() % n; }
  bool one_in(u64 n) { return below(n) == 0; }

 private:
  u64 state_;
};

}  // namespace selfheal::test
