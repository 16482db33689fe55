// What a healed call returns: as policy says, else as its caller's code tells.
#pragma once

#include "lib/base/registers.h"
#include "lib/recover/return_value.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// `at_entry`: the registers of the call, at the region's first instruction. Signal-safe.
recover::ReturnValue choose_value(const Registers& at_entry, u64 return_address, FaultKind kind,
                                  const Region& region);

}  // namespace selfheal::runtime
