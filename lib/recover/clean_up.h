// Where a function's clean-up code is, for a frame that is left behind: destructors, and what
// __attribute__((cleanup)) asks for.
//
// The tables are those of exceptions (lsda.h), which say for ranges of the function's code where to
// land when an exception passes. Signal-safe; a damaged table has no pads.
#pragma once

#include "lib/recover/image_view.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

// The routines whose tables have this format, and whose pads end in _Unwind_Resume: those of C++
// and C, by each of their addresses (a program that is not position-independent has its own); 0:
// none.
struct Personalities {
  u64 routines[4];
};

struct LandingPad {
  u64 address;
  u64 sp;  // what rsp has to be there
};

// The pad that cleans up `frame` and does nothing else. False: there is nothing to clean up there,
// or nothing is said of this instruction, or the pad may catch: then the function would go on.
bool find_landing_pad(const Frame& frame, const Personalities& known, const ImageView& image,
                      LandingPad& pad);

}  // namespace selfheal::recover
