#include "cli/elf_view.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <elf.h>

namespace selfheal::cli {
namespace {

Elf64_Ehdr header_of(const image::Bytes& bytes) {
  Elf64_Ehdr header{};
  bytes.read(0, header);
  return header;
}

bool section_at(const image::Bytes& bytes, const Elf64_Ehdr& header, u64 index, Elf64_Shdr& out) {
  return index < header.e_shnum && header.e_shentsize == sizeof out &&
         bytes.read(header.e_shoff + index * sizeof out, out);
}

bool segment_at(const image::Bytes& bytes, const Elf64_Ehdr& header, u64 index, Elf64_Phdr& out) {
  return index < header.e_phnum && header.e_phentsize == sizeof out &&
         bytes.read(header.e_phoff + index * sizeof out, out);
}

std::string demangled(const char* name) {
  if (std::strncmp(name, "_Z", 2) != 0) {
    return name;  // `f` is a type, too: float
  }
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : name;
  std::free(text);
  return result;
}

bool is_symbol_table(u32 type) {
  return type == SHT_SYMTAB || type == SHT_DYNSYM;
}

bool is_relocations(u32 type) {
  return type == SHT_RELA;
}

// Each section of such a type with the one that it is linked to, until `visit` says true.
template <typename Visit>
bool any_linked(const image::Bytes& bytes, bool (*wanted)(u32 type), Visit visit) {
  const Elf64_Ehdr header = header_of(bytes);
  Elf64_Shdr table;
  for (u64 i = 0; section_at(bytes, header, i, table); ++i) {
    Elf64_Shdr linked;
    if (wanted(table.sh_type) && section_at(bytes, header, table.sh_link, linked) &&
        visit(table, linked)) {
      return true;
    }
  }
  return false;
}

}  // namespace

ElfView::ElfView(const std::string& path) : file_(path.c_str()) {
  Elf64_Ehdr header;
  valid_ = file_.bytes().read(0, header) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB;
}

std::span<const u8> ElfView::at(u64 address, u64 size) const {
  const Elf64_Ehdr header = header_of(file_.bytes());
  Elf64_Phdr segment;
  for (u64 i = 0; segment_at(file_.bytes(), header, i, segment); ++i) {
    if (segment.p_type != PT_LOAD || address - segment.p_vaddr >= segment.p_filesz) {
      continue;
    }
    const u64 skipped = address - segment.p_vaddr;
    const u64 count = std::min(size, segment.p_filesz - skipped);
    const image::Bytes part = file_.bytes().part(segment.p_offset + skipped, count);
    return {part.data, part.size};
  }
  return {};
}

bool ElfView::each_symbol(const std::function<bool(const char*, const void*)>& visit) const {
  const image::Bytes& bytes = file_.bytes();
  return any_linked(bytes, is_symbol_table, [&](const Elf64_Shdr& table, const Elf64_Shdr& names) {
    const image::Bytes symbols = bytes.part(table.sh_offset, table.sh_size);
    const image::Bytes strings = bytes.part(names.sh_offset, names.sh_size);
    Elf64_Sym symbol;
    for (u64 at = 0; symbols.read(at, symbol); at += sizeof symbol) {
      const char* name = strings.string(symbol.st_name);
      if (name != nullptr && *name != '\0' && visit(name, &symbol)) {
        return true;
      }
    }
    return false;
  });
}

std::optional<ElfView::Named> ElfView::function_at(u64 address) const {
  std::optional<Named> best;
  each_symbol([&](const char* name, const void* entry) {
    const auto& symbol = *static_cast<const Elf64_Sym*>(entry);
    const u8 type = ELF64_ST_TYPE(symbol.st_info);
    if (symbol.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC) &&
        address - symbol.st_value < std::max<u64>(symbol.st_size, 1)) {
      best = Named{demangled(name), symbol.st_value};
    }
    return best.has_value();
  });
  return best;
}

std::optional<u64> ElfView::function_named(std::string_view name) const {
  std::optional<u64> start;
  each_symbol([&](const char* found, const void* entry) {
    const auto& symbol = *static_cast<const Elf64_Sym*>(entry);
    if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
        (name == found || name == demangled(found))) {
      start = symbol.st_value;
    }
    return start.has_value();
  });
  return start;
}

bool ElfView::mentions_symbol(std::string_view name) const {
  return each_symbol([&](const char* found, const void*) { return name == found; });
}

std::optional<u64> ElfView::import_slot(std::string_view name) const {
  const image::Bytes& bytes = file_.bytes();
  std::optional<u64> slot;
  any_linked(bytes, is_relocations, [&](const Elf64_Shdr& table, const Elf64_Shdr& linked) {
    Elf64_Shdr names;
    if (!section_at(bytes, header_of(bytes), linked.sh_link, names)) {
      return false;
    }
    const image::Bytes relocations = bytes.part(table.sh_offset, table.sh_size);
    const image::Bytes symbols = bytes.part(linked.sh_offset, linked.sh_size);
    const image::Bytes strings = bytes.part(names.sh_offset, names.sh_size);
    Elf64_Rela relocation;
    for (u64 at = 0; !slot && relocations.read(at, relocation); at += sizeof relocation) {
      const u64 type = ELF64_R_TYPE(relocation.r_info);
      Elf64_Sym symbol;
      if ((type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT) &&
          symbols.read(ELF64_R_SYM(relocation.r_info) * sizeof symbol, symbol)) {
        const char* found = strings.string(symbol.st_name);
        if (found != nullptr && name == found) {
          slot = relocation.r_offset;
        }
      }
    }
    return slot.has_value();
  });
  return slot;
}

bool ElfView::has_unwind_table() const {
  const Elf64_Ehdr header = header_of(file_.bytes());
  Elf64_Phdr segment;
  for (u64 i = 0; segment_at(file_.bytes(), header, i, segment); ++i) {
    if (segment.p_type == PT_GNU_EH_FRAME && segment.p_filesz != 0) {
      return true;
    }
  }
  return false;
}

bool ElfView::has_section(std::string_view name) const {
  const image::Bytes& bytes = file_.bytes();
  const Elf64_Ehdr header = header_of(bytes);
  Elf64_Shdr names;
  if (!section_at(bytes, header, header.e_shstrndx, names)) {
    return false;
  }
  const image::Bytes strings = bytes.part(names.sh_offset, names.sh_size);
  Elf64_Shdr section;
  for (u64 i = 0; section_at(bytes, header, i, section); ++i) {
    const char* found = strings.string(section.sh_name);
    if (found != nullptr && name == found) {
      return true;
    }
  }
  return false;
}

bool ElfView::contains(std::string_view wanted) const {
  const image::Bytes& bytes = file_.bytes();
  return bytes.size != 0 && memmem(bytes.data, bytes.size, wanted.data(), wanted.size()) != nullptr;
}

}  // namespace selfheal::cli
