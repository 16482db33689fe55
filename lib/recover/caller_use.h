// What a caller does with the value that a call returned: a forward walk from the return address.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

enum class Use : u8 {
  unknown,       // the walk ended in code it does not understand
  unused,        // overwritten, or the function ends, before anybody looks
  returned,      // handed on unchanged to the caller's own caller; with `constant` 1 stored as well
  compared,      // with `constant`, for equality
  asks_next,     // with `constant`, for which it calls somebody else instead: "not mine"
  not_in_range,  // 0 and -1 are both accepted; anything else is not
  syscall_error,  // with -4095 and above, unsigned: the kernel's way to return an errno
  sign,           // for being negative (or not positive), or for exceeding a count
  null,           // a full register for being zero
  zero_is_error,  // an int for being zero; the zero side looks like failure
  zero_is_fine,   // an int for being zero; the other side looks like failure, or none does: with
                 // `constant` 1 it certainly does (it is cold code, or returns a negative constant)
  boolean,      // one byte, or some bits
  truth_value,  // left open by the caller: the function answers 1 or 0 (choice.cpp)
  trusted,      // used unchecked: as a pointer, as a number, as an argument of another call, or
                // stored for somebody else
};

struct CallerUse {
  Use use;
  i64 constant;  // for `returned`, `compared`, `asks_next` and `zero_is_fine`
};

CallerUse find_caller_use(u64 return_address, const ImageView& image);

}  // namespace selfheal::recover
