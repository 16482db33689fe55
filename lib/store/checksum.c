// XXH64 from the header-only library, private to this file. C, because clang cannot compile
// libstdc++'s <stdlib.h>, which xxhash.h includes, with -mgeneral-regs-only.
#define XXH_INLINE_ALL
#define XXH_VECTOR 0
#define XXH_FORCE_MEMORY_ACCESS 1  // loads, and not memcpy, at -O0 too
#include <stdint.h>
#include <xxhash.h>

uint64_t selfheal_store_checksum(const void* data, uint64_t size, uint64_t seed);

uint64_t selfheal_store_checksum(const void* data, uint64_t size, uint64_t seed) {
  return XXH64(data, size, seed);
}
