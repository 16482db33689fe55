// What a caller would do with a value, on paper: the branches it decides, and whether the way it
// then takes looks like the handling of a failure.
#pragma once

#include <span>

#include "lib/recover/own_exits.h"

namespace selfheal::recover {

struct Course {
  u64 branches;      // which way the branches went that the value decides; 0: none was met
  bool decided;      //
  bool cold;         // into the part that the compiler expects not to run
  bool ends;         // returns, or calls what never does, soon and without deciding anything else
  bool aborts;       // runs into ud2
  bool says_so;      // names a failure in words
  bool sets_errno;   //
  bool kept;         // stored outside of the frame: somebody else will look at it
  bool knows_codes;  // compared with a number above 1: one of an enumeration
  bool asks_zero;    // whether it is 0
  bool asks_sign;    // for being negative, or with a negative number
  int failure;       // points for looking like the handling of a failure, see course.cpp
};

// Which arguments of the call point into its caller's frame, and where: bytes from the caller's rsp
// behind the call.
struct FrameArguments {
  bool known[6];
  i64 offset[6];
};

// At the call that return_addresses[0] is behind. When the caller only hands a value on, its own
// caller is looked at with what that gets. Signal-safe; at most 160 instructions.
Course course_of(const Exit& exit, const FrameArguments& arguments,
                 std::span<const u64> return_addresses, const ImageView& image);

// The same for a value that no exit of the function's is known for.
Course course_of(u64 value, std::span<const u64> return_addresses, const ImageView& image);

// Whether a function is called on that way that never returns: exit(), fatal(). Four of those that
// are called are looked through, at most 4096 instructions each.
bool ends_the_process(u64 value, std::span<const u64> return_addresses, const ImageView& image);

}  // namespace selfheal::recover
