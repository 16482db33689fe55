// Writing the catalog, for its one writer (edit.cpp), and what reader and writer share.
#pragma once

#include "lib/store/format.h"

namespace selfheal::store {

u64 catalog_checksum(const CatalogHeader& header, const CatalogEntry* entries);

}  // namespace selfheal::store
