// What a function returns by its debug information: the program's own, a .debug file beside it or
// in /usr/lib/debug by build-id or .gnu_debuglink, or, where DEBUGINFOD_URLS is set, a server's.
#pragma once

#include <optional>
#include <string>

#include "lib/store/functions.h"

namespace selfheal::cli {

struct DeclaredReturn {
  store::DeclaredType type = store::DeclaredType::unknown;
  // Of an enumeration: the enumerator that says "failure" by its name, where one does.
  std::optional<i64> failure;
  u64 entry = 0;  // of the function: its ELF virtual address
};

// Of the function at ELF virtual address `address` of the file; nothing where there is no debug
// information for it. The file is not trusted (libdw checks what it reads).
std::optional<DeclaredReturn> declared_return(const std::string& path, u64 address);

}  // namespace selfheal::cli
