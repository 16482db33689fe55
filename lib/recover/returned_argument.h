// Functions that return one of their arguments, whatever they do meanwhile: how an error is logged,
// or kept, on its way out.
//
//   return log_error(r, conf, 403, "not a regular file");      its callers return 403
//
//   log_error:  mov  r13d, edx         edx is the third argument; r13 is nobody else's since then
//               call …
//               mov  eax, r13d
//               ret                    at each return
#pragma once

#include "lib/recover/code_walk.h"

namespace selfheal::recover {

// Which argument the function at `entry` returns at all of its ends, 1 to 6; 0: it is none of that
// kind, or too long to tell. Signal-safe; at most 256 instructions decoded.
unsigned returned_argument(const ImageView& image, u64 entry);

}  // namespace selfheal::recover
