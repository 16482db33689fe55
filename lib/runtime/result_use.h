// Does anybody look at what a call returns?
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// As far as the code behind the call tells; guarded, signal-safe.
bool result_is_used(u64 return_address);

}  // namespace selfheal::runtime
