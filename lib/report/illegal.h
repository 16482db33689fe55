// What an instruction that must not be executed was there for.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/text.h"

namespace selfheal::report {

// "reached ud2, …". `bytes`: of the instruction; size 0: not known.
void say_illegal(const Fault& fault, const u8* bytes, u64 size, Text& out);

}  // namespace selfheal::report
