// The C++ side of what forwards.S does in each blocking call.
#pragma once

#include "lib/base/types.h"

namespace selfheal::probes {

// For the wrappers that are not made by the table: ppoll and its kind.
void note_waiting_call();

}  // namespace selfheal::probes
