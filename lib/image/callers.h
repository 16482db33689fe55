// Where in its own module a function is called directly.
#pragma once

#include <span>

#include "lib/image/function.h"

namespace selfheal::image {

// The return addresses of the first `out.size()` direct calls of `function` in its module, in
// address order, but for those it makes itself; returns how many there are in `out`. Of the text,
// 64 MiB at most are looked at. Calls through a pointer or the linkage table are not seen. Not for
// the fault path: about 0.1 ms a MiB, and pages of text that nobody has used are read.
unsigned find_callers(const Module& module, const Function& function, std::span<u64> out);

}  // namespace selfheal::image
