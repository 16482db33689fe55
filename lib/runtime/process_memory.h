#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// Most bytes of memory the process has had resident at a time; 0 where it may not be asked, under a
// seccomp filter. One system call, signal-safe.
u64 peak_memory();

}  // namespace selfheal::runtime
