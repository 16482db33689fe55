// Memory that a rollback has to leave alone, as far as older records name it: the text and data of
// a module that the region unloaded, what it handed to a thread that it started.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

class GivenAway {
 public:
  GivenAway() {
  }  // NOLINT(modernize-use-equals-default): `= default` would clear the array, by memset

  // More ranges than there is room for become one: then too much is left alone.
  void add(u64 begin, u64 end) {
    if (count_ < capacity) {
      ranges_[count_++] = {begin, end};
      return;
    }
    Range& last = ranges_[capacity - 1];
    last.begin = begin < last.begin ? begin : last.begin;
    last.end = end > last.end ? end : last.end;
  }

  bool none() const { return count_ == 0; }

  // Is the byte at `at` in there? And up to where is the answer the same, looking no farther than
  // `end`?
  bool holds(u64 at, u64 end, u64& same_until) const {
    same_until = end;
    for (unsigned i = 0; i < count_; ++i) {
      const Range& range = ranges_[i];
      if (at >= range.begin && at < range.end) {
        same_until = range.end < end ? range.end : end;
        return true;
      }
      if (at < range.begin && range.begin < same_until) {
        same_until = range.begin;
      }
    }
    return false;
  }

 private:
  struct Range {
    u64 begin;
    u64 end;
  };
  static constexpr unsigned capacity = 16;
  Range ranges_[capacity];
  unsigned count_ = 0;
};

}  // namespace selfheal::emulator
