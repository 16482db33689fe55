// How much one side of a caller's branch looks like the handling of a failure.
#pragma once

#include "lib/recover/holders.h"
#include "lib/recover/image_view.h"

namespace selfheal::recover {

// True when a jump from the part of code around `from` to `to` starts another function.
bool is_tail_call(const ImageView& image, u64 from, u64 to);

// Points for the side at `at` of a branch in the part around `caller`, on the returned value held
// by `holders`; `zero`: it is the side where the value is 0.
//
//   4  the compiler moved it into the cold part
//   3  it soon returns a constant other than 0, or the value itself when that is not 0
//   1  it soon returns anything else
int failure_score(const ImageView& image, u64 caller, u64 at, Holders holders, bool zero);

}  // namespace selfheal::recover
