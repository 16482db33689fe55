// The process's mappings, as the kernel lists them.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

struct Mapping {
  u64 begin;
  u64 end;
  bool executable;
};

// The mapping that holds `address`. Reads /proc/self/maps: four system calls or more, no memory but
// the stack's. False: there is none, or it cannot be known.
bool find_mapping(u64 address, Mapping& mapping);

}  // namespace selfheal::runtime
