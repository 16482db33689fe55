// Which constants a function returns: what tells a truth value (1 is yes, 0 is no) from a status
// (0 is fine, -1 is not) where its caller only asks for zero or not.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

class ReturnedConstants {
 public:
  // 1, and nothing but 1: 0 is often a variable that was tested, and not to be seen.
  bool is_truth_value() const { return one_ && count_ == 0; }

  // Something is known, but `value` is not among it.
  bool speaks_against(i64 value) const {
    for (unsigned i = 0; i < count_; ++i) {
      if (values_[i] == value) {
        return false;
      }
    }
    return (one_ && value != 1) || count_ != 0;
  }

  // An explicit 1, or what setcc makes.
  void add_one() { one_ = true; }
  void add(i64 value) {
    if (value != 0 && value != 1 && count_ < most) {
      values_[count_++] = value;
    }
  }

 private:
  static constexpr unsigned most = 16;
  i64 values_[most] = {};  // others than 0 and 1
  unsigned count_ = 0;
  bool one_ = false;
};

// Of the function that starts at `entry`, as far as straight walks from each constant to a return
// tell; what its cold part returns is left out. Signal-safe, a bounded number of instructions.
ReturnedConstants find_returned_constants(u64 entry, const ImageView& image);

}  // namespace selfheal::recover
