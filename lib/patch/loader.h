// Where ld.so keeps its list of modules for debuggers (System V ABI, "Rendezvous"; link.h).
//
// Not simply `_r_debug`: where the program refers to that itself, the symbol may name a copy in the
// program, made at start-up and never updated.
#pragma once

#include <link.h>

namespace selfheal::patch {

// Never null. Allocates nothing, takes no lock.
const r_debug* loader_debug();

}  // namespace selfheal::patch
