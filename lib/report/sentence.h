// What happened, as the end of a plain sentence. Same rules as report.h.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/text.h"
#include "lib/base/types.h"

namespace selfheal::report {

// "read from address 0x18, a NULL pointer plus 24": what follows "process 4711". `bytes` are the
// faulting instruction's, of `size` 0 where they are not known.
void say_fault(const Fault& fault, const u8* bytes, u64 size, Text& out);

}  // namespace selfheal::report
