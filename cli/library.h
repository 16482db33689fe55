// Where libselfheal.so is.
#pragma once

#include <string>
#include <vector>

#include "cli/result.h"

namespace selfheal::cli {

// $SELFHEAL_LIBRARY; else beside this binary as installed (../lib*/, ../lib/<triplet>/) or as built
// (../lib/runtime/). An absolute path that LD_PRELOAD can hold: without ':' and blanks.
Result<std::string> find_library();

// `existing` is LD_PRELOAD's value: ours comes first, the rest stays as it was.
std::string prepend_preload(const std::string& library, const std::string& existing);

}  // namespace selfheal::cli
