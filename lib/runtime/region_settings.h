// What is kept of a region: by the catalog, the policy, and what is known of its function. All
// under runtime.changing.
#pragma once

#include "lib/runtime/patch_target.h"
#include "lib/runtime/regions.h"
#include "lib/store/format.h"
#include "lib/store/rules.h"

namespace selfheal::runtime {

bool checks_stack(const store::CatalogEntry* entry);
u8 reserve_class_of(const store::CatalogEntry* entry);

// Where the fault seen last stands in the region itself: the instruction, or behind the call; 0: it
// is not known. A recursion's is the call of itself, which every innermost activation goes by.
u64 site_in(const image::Module& module, const store::CatalogEntry* entry);

// Fills the region's cell; `entry` null: nothing is known against it. A thread may come through the
// new stub before that: it finds an entry that is not the patch's and goes on natively
// (run_region), so the region's `entry` is written last. A cell that is filled already is only
// settled: its calls are not to go natively meanwhile.
void describe(u32 index, const Target& target, u64 site, const store::CatalogEntry* entry,
              const store::Decision& decision);

}  // namespace selfheal::runtime
