// Tells a process from its fork child, however the child was made: also by a `clone` that libc, and
// with it pthread_atfork, knows nothing of.
//
//   if (mark.begin_takeover()) {     in a child, once, by whichever thread comes first
//     ... make one's own what fork has left shared ...
//     mark.end_takeover();
//   }
//
// Any thread, any context. A child that shares memory (vfork) is not told apart.
#pragma once

#include "lib/base/types.h"

namespace selfheal {

class ForkMark {
 public:
  // Called once, by the first process. False: no memory, or a kernel before Linux 4.14.
  bool start();

  // True for the one caller who has to take over, in a child. Others wait for it to be done.
  bool begin_takeover() { return word() != taken_over && begin(); }
  void end_takeover();

 private:
  static constexpr u64 inherited = 0;
  static constexpr u64 in_progress = 1;
  static constexpr u64 taken_over = 2;

  u64 word() const {
    return page_ == 0 ? taken_over : __atomic_load_n(pointer_to<u64>(page_), __ATOMIC_ACQUIRE);
  }
  bool begin();

  u64 page_ = 0;  // children get it zeroed (MADV_WIPEONFORK)
};

}  // namespace selfheal
