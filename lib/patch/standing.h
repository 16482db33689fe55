// Functions that must never be patched, because of what or where they are: ld.so's own, ours, the
// decoder's, the vdso's, IFUNC resolvers. Cold parts and signal frames are for the caller to tell.
#pragma once

#include "lib/patch/plan.h"

namespace selfheal::patch {

// Looks at the loaded modules and their relocations, without a lock. Also right for a module that
// is just being loaded, when asked by the thread that loads it (module_watch.h).
Standing standing_of(u64 entry);

}  // namespace selfheal::patch
