#include "lib/image/elf_file.h"

#define XXH_INLINE_ALL
#include <elf.h>
#include <xxhash.h>

#include "lib/image/file_view.h"
#include "lib/image/module.h"
#include "lib/image/notes.h"
#include "lib/image/symbols.h"

namespace selfheal::image {
namespace {

constexpr u32 go_build_id_note = 4;

template <u64 Capacity>
void copy_text(char (&to)[Capacity], const char* from, u64 size) {
  u64 i = 0;
  for (; i + 1 < Capacity && i < size && from[i] != '\0'; ++i) {
    to[i] = from[i];
  }
  to[i] = '\0';
}

struct Parser {
  const Bytes& bytes;
  ElfFile& file;
  Elf64_Ehdr header{};
  bool text_relocations = false;

  bool program_header(u64 index, Elf64_Phdr& out) const {
    return bytes.read(header.e_phoff + index * sizeof out, out);
  }

  // File offset of a virtual address, or ~0.
  u64 offset_of(u64 address) const {
    Elf64_Phdr load;
    for (u64 i = 0; i < header.e_phnum && program_header(i, load); ++i) {
      if (load.p_type == PT_LOAD && address - load.p_vaddr < load.p_filesz) {
        return load.p_offset + (address - load.p_vaddr);
      }
    }
    return ~u64{0};
  }

  void notes(const Elf64_Phdr& segment) {
    const Bytes data = bytes.part(segment.p_offset, segment.p_filesz);
    if (file.id.kind == ModuleIdKind::none) {
      find_build_id(data.data, data.size, segment.p_align, file.id);
    }
    for_each_note(data.data, data.size, segment.p_align,
                  [this](u32 type, const u8* name, u32 size, const u8*, u32) {
                    if (type == go_build_id_note && size == 4 && std::memcmp(name, "Go", 3) == 0) {
                      file.go_program = true;
                    }
                    return false;
                  });
  }

  void dynamic(const Elf64_Phdr& segment) {
    const Bytes data = bytes.part(segment.p_offset, segment.p_filesz);
    file.has_dynamic = true;
    u64 strings_at = ~u64{0};
    u64 strings_size = 0;
    Elf64_Dyn entry;
    for (u64 at = 0; data.read(at, entry) && entry.d_tag != DT_NULL; at += sizeof entry) {
      const u64 value = entry.d_un.d_val;
      if (entry.d_tag == DT_STRTAB) {
        strings_at = offset_of(value);
      } else if (entry.d_tag == DT_STRSZ) {
        strings_size = value;
      } else if (entry.d_tag == DT_FLAGS_1 && (value & DF_1_PIE) != 0) {
        file.is_pie = true;
      } else if (entry.d_tag == DT_TEXTREL ||
                 (entry.d_tag == DT_FLAGS && (value & DF_TEXTREL) != 0)) {
        text_relocations = true;
      }
    }
    const Bytes strings = bytes.part(strings_at, strings_size);
    for (u64 at = 0; data.read(at, entry) && entry.d_tag != DT_NULL; at += sizeof entry) {
      const char* name = entry.d_tag == DT_NEEDED ? strings.string(entry.d_un.d_val) : nullptr;
      if (name != nullptr && file.needed_count < max_needed) {
        copy_text(file.needed[file.needed_count++], name, ~u64{0});
      }
    }
  }

  // As image::content_id does on a loaded module.
  void content_hash() {
    if (text_relocations) {
      return;
    }
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    unsigned segments = 0;
    Elf64_Phdr load;
    for (u64 i = 0; i < header.e_phnum && program_header(i, load); ++i) {
      if (load.p_type != PT_LOAD || load.p_memsz == 0 || segments++ >= max_segments ||
          (load.p_flags & PF_W) != 0) {
        continue;
      }
      const u64 size = load.p_filesz < load.p_memsz ? load.p_filesz : load.p_memsz;
      if (!bytes.holds(load.p_offset, size)) {
        return;
      }
      const u64 head[3] = {load.p_vaddr, size, load.p_flags};
      XXH64_update(&state, head, sizeof head);
      XXH64_update(&state, bytes.data + load.p_offset, size);
    }
    file.id = content_id_of(XXH64_digest(&state));
  }

  bool parse() {
    if (!bytes.read(0, header) || header.e_phentsize != sizeof(Elf64_Phdr) ||
        !bytes.holds(header.e_phoff, u64{header.e_phnum} * sizeof(Elf64_Phdr))) {
      return false;
    }
    Elf64_Phdr segment;
    bool fits = true;
    for (u64 i = 0; i < header.e_phnum && program_header(i, segment); ++i) {
      if (segment.p_type == PT_NULL) {
        continue;
      }
      if (!bytes.holds(segment.p_offset, segment.p_filesz)) {
        fits = false;
      } else if (segment.p_type == PT_INTERP) {
        file.has_interpreter = true;
        copy_text(file.interpreter, reinterpret_cast<const char*>(bytes.data + segment.p_offset),
                  segment.p_filesz);
      } else if (segment.p_type == PT_NOTE) {
        notes(segment);
      } else if (segment.p_type == PT_DYNAMIC) {
        dynamic(segment);
      }
    }
    file.is_pie = file.is_pie || (header.e_type == ET_DYN && file.has_interpreter);
    if (file.id.kind == ModuleIdKind::none) {
      content_hash();
    }
    return fits;
  }
};

// The table of one kind, searched for a defined function.
u64 search_section(const Bytes& bytes, const Elf64_Ehdr& header, u32 type, std::string_view name,
                   u64* size) {
  Elf64_Shdr section;
  for (u64 i = 0; i < header.e_shnum && bytes.read(header.e_shoff + i * sizeof section, section);
       ++i) {
    Elf64_Shdr strings_section;
    if (section.sh_type != type ||
        !bytes.read(header.e_shoff + u64{section.sh_link} * sizeof section, strings_section)) {
      continue;
    }
    const Bytes symbols = bytes.part(section.sh_offset, section.sh_size);
    const Bytes strings = bytes.part(strings_section.sh_offset, strings_section.sh_size);
    Elf64_Sym symbol;
    for (u64 at = 0; symbols.read(at, symbol); at += sizeof symbol) {
      const u8 kind = ELF64_ST_TYPE(symbol.st_info);
      if (symbol.st_shndx == SHN_UNDEF || (kind != STT_FUNC && kind != STT_GNU_IFUNC)) {
        continue;
      }
      const char* text = strings.string(symbol.st_name);
      if (text != nullptr && name == text) {
        if (size != nullptr) {
          *size = symbol.st_size;
        }
        return symbol.st_value;
      }
    }
  }
  return 0;
}

}  // namespace

const char* name_of(ElfFileProblem problem) {
  switch (problem) {
    case ElfFileProblem::none:
      return "fine";
    case ElfFileProblem::cannot_open:
      return "cannot be opened";
    case ElfFileProblem::not_elf:
      return "not an ELF file";
    case ElfFileProblem::damaged:
      return "damaged";
  }
  return "unknown";
}

bool inspect_bytes(const u8* data, u64 size, ElfFile& file) {
  file = ElfFile{};
  const Bytes bytes{data, size};
  if (!bytes.holds(0, SELFMAG) || std::memcmp(data, ELFMAG, SELFMAG) != 0) {
    file.problem = ElfFileProblem::not_elf;
    if (bytes.holds(0, 2) && data[0] == '#' && data[1] == '!') {
      u64 end = 2;
      while (end < size && data[end] != '\n') {
        ++end;
      }
      copy_text(file.script, reinterpret_cast<const char*>(data + 2), end - 2);
    }
    return false;
  }
  // e_type and e_machine lie at the same place in both classes.
  file.problem = ElfFileProblem::damaged;
  if (!bytes.read(offsetof(Elf64_Ehdr, e_type), file.type) ||
      !bytes.read(offsetof(Elf64_Ehdr, e_machine), file.machine)) {
    return false;
  }
  file.is_64_bit = data[EI_CLASS] == ELFCLASS64;
  if (data[EI_DATA] != ELFDATA2LSB) {
    file.machine = static_cast<u16>(file.machine << 8 | file.machine >> 8);
    file.type = static_cast<u16>(file.type << 8 | file.type >> 8);
  }
  if (file.is_64_bit && data[EI_DATA] == ELFDATA2LSB) {
    Parser parser{bytes, file};
    if (!parser.parse()) {
      return false;
    }
  }
  file.problem = ElfFileProblem::none;
  return true;
}

bool inspect_file(const char* path, ElfFile& file) {
  const FileView view(path);
  if (view.error() != 0) {
    file = ElfFile{};
    file.problem = ElfFileProblem::cannot_open;
    file.error_number = view.error();
    return false;
  }
  return inspect_bytes(view.bytes().data, view.bytes().size, file);
}

u64 find_symbol_in_file(const char* path, std::string_view name, u64* size) {
  const FileView view(path);
  Elf64_Ehdr header;
  if (!view.bytes().read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr)) {
    return 0;
  }
  const u64 found = search_section(view.bytes(), header, SHT_SYMTAB, name, size);
  return found != 0 ? found : search_section(view.bytes(), header, SHT_DYNSYM, name, size);
}

}  // namespace selfheal::image
