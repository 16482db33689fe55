// Functions as users name them: an id of `selfheal list`, MODULE!FUNCTION or MODULE+0xOFFSET.
#pragma once

#include <string>

#include "cli/regions.h"

namespace selfheal::cli {

struct FunctionPlace {
  RecordModule module;
  u64 entry_offset;
};

// MODULE is a path, or the base name of a module of the store's records, else of a program in PATH
// or a library in the usual folders.
Result<FunctionPlace> find_place(const OpenStore& opened, const std::string& text);

}  // namespace selfheal::cli
