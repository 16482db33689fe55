// Who returned to nowhere?
//
//   after `ret` with an overwritten return address:
//     rsp ──►  caller's frame         (CFA of the function that returned)
//     rsp-8    the bad address = rip
//     ...      its dead frame, smashed
//     a        a return address into it, left by the last call it made  ◄── still there
//
// The return address that would name the caller is gone, but the dead stack below rsp names the
// callee: a word there that follows a call, in a function whose frame (by its call frame
// information) would end just at rsp.
#pragma once

#include "lib/recover/image_view.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

// Has a return led to `now.rip`, which is no code? Then `left` is the frame it was made in: rip at
// the ret (exact), or, where that cannot be told, behind the last call. Reads the stack below rsp
// without a check: to be called guarded. No allocation, lock or system call.
bool find_lost_return(const Registers& now, const ImageView& image, Frame& left);

}  // namespace selfheal::recover
