// Declared return types of what the catalog knows of, read from debug information into the
// functions' file.
#pragma once

#include "cli/store_access.h"

namespace selfheal::cli {

// Of each region's function and of those that could be rolled back for it.
Outcome read_declared_types(OpenStore& opened);

}  // namespace selfheal::cli
