// How one function comes to be patched: what the passes over catalog, options and rescue points
// (regions.cpp, rescue_points.cpp) share. All under runtime.changing.
#pragma once

#include "lib/image/module.h"
#include "lib/patch/patcher.h"
#include "lib/runtime/named_regions.h"
#include "lib/store/format.h"

namespace selfheal::runtime {

// The indices that the catalog and the options ask for.
class Wanted {
 public:
  void add(u32 index) {
    count_ += has(index) ? 0 : 1;
    bits_[index / 64] |= 1ULL << (index % 64);
  }
  bool has(u32 index) const { return (bits_[index / 64] >> (index % 64) & 1) != 0; }
  u32 count() const { return count_; }

 private:
  u64 bits_[patch::max_regions / 64] = {};
  u32 count_ = 0;
};

// Patches one function; says why not. `wanted` marks the index as one that stays. `entry` is null
// for a function of which nothing is known, `recorded_hash` 0 for one that need not be a certain
// build's.
const char* protect(const image::Module& module, const NamedPlace& place, u64 recorded_hash,
                    const store::CatalogEntry* entry, patch::Threads threads, Wanted& wanted);

// Patches a function that nobody wants to heal, so that its returns are seen.
const char* watch_function(const image::Module& module, const NamedPlace& place,
                           patch::Threads threads, Wanted& wanted);

// Sends all calls of the function at `entry` to `replacement`, for good; its native path goes to
// `native_path` first. Null, or why not. Under runtime.changing.
const char* divert(u64 entry, u64 replacement, u64& native_path, patch::Threads threads);

// How many could not be patched just then, but perhaps soon (patch::is_transient), ever.
unsigned transient_refusals();

// A catalog entry's function could not be patched: said once, where the option `verbose` asks.
void refuse(u64 catalog_id, const char* reason);

}  // namespace selfheal::runtime
