// Replacing a file of the store beside the catalog.
#pragma once

#include <span>

#include "lib/store/edit.h"

namespace selfheal::cli {

// Written anew and renamed, under the editor's lock: a starting program sees the old file or the
// new one. 0, or -errno, and the old one is still in place.
long replace_file(const store::CatalogEditor& editor, const char* name,
                  std::span<const char> bytes);

}  // namespace selfheal::cli
