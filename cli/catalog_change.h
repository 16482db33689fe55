// One change of the catalog: all of it, or nothing.
#pragma once

#include <functional>

#include "cli/result.h"
#include "lib/store/edit.h"

namespace selfheal::cli {

Outcome change_catalog(store::Store& store,
                       const std::function<void(store::CatalogEditor&)>& change);

}  // namespace selfheal::cli
