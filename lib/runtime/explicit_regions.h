// Regions the program itself names, by selfheal_protect (include/selfheal/selfheal.h).
//
// A table of what was asked for, which regions.cpp applies to every module as it does the catalog:
// so they come back after dlclose and dlopen of the same build, and leave when they are taken back.
// Changed and read under runtime.changing.
#pragma once

#include <span>

#include "include/selfheal/selfheal.h"
#include "lib/image/module.h"
#include "lib/store/format.h"

namespace selfheal::runtime {

// The region of all selfheal_rescue calls: code of ours that is the guest's (rescue_body.S).
extern "C" __attribute__((visibility("hidden"))) int selfheal_rescue_body(void (*body)(void*),
                                                                          void* argument);

struct ExplicitRegion {
  store::CatalogEntry entry;  // as the catalog would have it: identity, value, errno
  u64 module_start;           // identifies a module that has no id
  const char* problem;        // why it could not be patched; null: it is
  bool used;
};

// What `protect` came to.
enum class Explicit : u8 { added, changed, no_function, full };

bool lies_in(const ExplicitRegion& region, const image::Module& module);

// Enters the function at `address`, or gives it new options (null: none).
Explicit add_explicit(u64 address, const selfheal_protection* options, ExplicitRegion*& region);

// The entry of the function at `address`; null: it was not asked for.
ExplicitRegion* find_explicit(u64 address);

bool any_explicit();

// All cells of the table, used and unused.
std::span<ExplicitRegion> explicit_regions();

}  // namespace selfheal::runtime
