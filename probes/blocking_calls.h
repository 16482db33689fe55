// The C++ side of what forwards.S does in each blocking call.
#pragma once

#include "lib/base/types.h"

namespace selfheal::probes {

// For the wrappers that are not made by the table.
void note_blocking_call();

}  // namespace selfheal::probes
