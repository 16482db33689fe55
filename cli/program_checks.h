// Whether a library can be preloaded into a program, from its file alone (nothing is run).
#pragma once

#include <string>

#include "cli/check.h"
#include "cli/elf_view.h"
#include "lib/image/elf_file.h"

namespace selfheal::cli {

// `path` as find_program gives it, or any path. A script is followed to its interpreter.
Checks check_program(const std::string& path);

// Why preloading will not work for this program, in one clause; "" when it will.
std::string preload_obstacle(const std::string& path);

// Language runtimes and sanitizers that want fault signals for themselves.
Check check_signal_owner(const image::ElfFile& file, const ElfView& elf);

}  // namespace selfheal::cli
