// The store's checksum: XXH64. Finds torn and rotten bytes; it is no protection against somebody
// who means it. Any thread, signal handlers and the engine's side included: scalar code, no libc.
#pragma once

#include "lib/base/types.h"

extern "C" selfheal::u64 selfheal_store_checksum(const void* data, selfheal::u64 size,
                                                 selfheal::u64 seed);

namespace selfheal::store {

// To hash two ranges, seed the second with the first one's checksum.
inline u64 checksum(const void* data, u64 size, u64 seed = 0) {
  return selfheal_store_checksum(data, size, seed);
}

}  // namespace selfheal::store
