// What `info` and `doctor` read in an ELF file beyond image::inspect_file: code by virtual address,
// and names of addresses. Every offset is checked; a damaged file has less in it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/types.h"
#include "lib/image/file_view.h"

namespace selfheal::cli {

class ElfView {
 public:
  // Not `valid` when it is no 64-bit little-endian ELF file, or cannot be read.
  explicit ElfView(const std::string& path);

  bool valid() const { return valid_; }

  // The file's bytes from `address` (an ELF virtual address) on, at most `size`, cut at the end of
  // the segment's part in the file; empty outside of code and data.
  std::span<const u8> at(u64 address, u64 size) const;

  struct Named {
    std::string name;  // demangled
    u64 start;
  };
  // The function symbol that holds `address`.
  std::optional<Named> function_at(u64 address) const;

  // Where the function of that name begins, as the linker has it or demangled.
  std::optional<u64> function_named(std::string_view name) const;

  // True when a symbol of this name is defined or asked for.
  bool mentions_symbol(std::string_view name) const;

  // Where the dynamic linker puts the address of the function that is imported by this name.
  std::optional<u64> import_slot(std::string_view name) const;

  bool has_unwind_table() const;  // PT_GNU_EH_FRAME
  bool has_section(std::string_view name) const;

  // True when the bytes stand anywhere in the file.
  bool contains(std::string_view bytes) const;

 private:
  // Calls `visit(name, symbol)` for every symbol of .symtab and .dynsym until it answers true.
  bool each_symbol(const std::function<bool(const char*, const void*)>& visit) const;

  image::FileView file_;
  bool valid_ = false;
};

}  // namespace selfheal::cli
