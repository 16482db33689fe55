// The instructions around a faulting one, read from the module's file.
#pragma once

#include <string>
#include <vector>

#include "cli/elf_view.h"
#include "lib/store/format.h"

namespace selfheal::cli {

struct CodeLine {
  u64 offset;  // ELF virtual address
  std::string bytes;
  std::string text;  // "(bad)" for what is no instruction
  bool is_site;
};

// A few instructions before `site` and after it. x86 code can only be decoded forwards: decoding
// starts at `start` (the function's entry), or at the site itself when that is not before it.
std::vector<CodeLine> code_around(const ElfView& elf, u64 start, u64 site);

}  // namespace selfheal::cli
