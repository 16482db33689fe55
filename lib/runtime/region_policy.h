// What the policy rules (lib/store/rules.h) and the catalog together say of one region.
#pragma once

#include "lib/image/module.h"
#include "lib/store/format.h"
#include "lib/store/rules.h"

namespace selfheal::runtime {

// `entry` is the catalog's word on the region; what the user set there (`selfheal set`) is the
// last. Looks the function's name up, in the module's file if need be: not in a sandbox.
store::Decision decide_on(const image::Module& module, const store::CatalogEntry& entry);

// What is said of a function whose error value nobody has named.
inline constexpr char not_guessed[] =
    "it may decide about access, so its error value is not guessed (`selfheal set ID --value` "
    "names "
    "it)";

// Why a region with that decision is not to be patched; null: it is.
const char* objection(const store::Decision& decision);

}  // namespace selfheal::runtime
