// Functions that must never be patched, because of what or where they are: ld.so's own, ours, the
// decoder's, the vdso's, IFUNC resolvers. Cold parts and signal frames are for the caller to tell.
#pragma once

#include "lib/patch/plan.h"

namespace selfheal::patch {

// Looks at the loaded modules (`_dl_find_object`, no lock) and the module's relocations. For a
// module that the loader has mapped but not yet relocated the answer is `ordinary`.
Standing standing_of(u64 entry);

}  // namespace selfheal::patch
