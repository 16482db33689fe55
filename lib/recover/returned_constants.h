// Which constants a function returns: what tells a truth value (1 is yes, 0 is no) from a status
// (0 is fine, -1 is not) where its caller only asks for zero or not.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

struct ReturnedConstants {
  bool one = false;    // an explicit 1, or what setcc makes
  bool other = false;  // but 0, which is often a variable that was tested

  bool is_truth_value() const { return one && !other; }
};

// Of the function that starts at `entry`, as far as straight walks from each constant to a return
// tell; what its cold part returns is left out. Signal-safe, a bounded number of instructions.
ReturnedConstants find_returned_constants(u64 entry, const ImageView& image);

}  // namespace selfheal::recover
