// How much one side of a caller's branch looks like the handling of a failure.
#pragma once

#include "lib/recover/holders.h"
#include "lib/recover/image_view.h"

namespace selfheal::recover {

// True when a jump from the part of code around `from` to `to` starts another function.
bool is_tail_call(const ImageView& image, u64 from, u64 to);

// True when the way from `at` comes straight back to the call through a pointer that returns to
// `return_address`: a loop that asks one after the other.
//
//   for (hook = hooks; hook != end; ++hook)
//     if ((rc = hook->call(r)) != DECLINED) return rc;
bool calls_again(const ImageView& image, u64 return_address, u64 at);

// Points for the side at `at` of a branch in the part around `caller`, on the returned value held
// by `holders`; `zero`: it is the side where the value is 0.
//
//   +4  the compiler moved it into the cold part
//   and, when it returns within 24 instructions without deciding anything else:
//   +4  a negative constant, or the returned value itself while that is not 0
//   +2  another constant but 0 and 1, or what was set before the branch (int result = FAILED; ...)
//   +1  0; and nothing for 1, which is what a success returns where 0 is failure
//   +1  if it calls nothing before
int failure_score(const ImageView& image, u64 caller, u64 at, Holders holders, bool zero);

}  // namespace selfheal::recover
