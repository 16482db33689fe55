// Build-id notes in bytes that were already bounds-checked, in memory or of a file (ELF gABI, "Note
// Section"; the GNU build-id is type NT_GNU_BUILD_ID of name "GNU").
#pragma once

#include <cstring>
#include <elf.h>

#include "lib/base/module_id.h"
#include "lib/base/types.h"

namespace selfheal::image {

// Calls visit(type, name, name size, description, description size) until it returns true.
template <typename Visit>
bool for_each_note(const u8* notes, u64 size, u64 alignment, Visit visit) {
  const u64 align = alignment == 8 ? 8 : 4;
  const auto padded = [align](u64 n) { return (n + align - 1) & ~(align - 1); };
  for (u64 at = 0; size - at >= sizeof(Elf64_Nhdr);) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes + at, sizeof note);
    const u64 name = at + sizeof note;
    const u64 description = name + padded(note.n_namesz);
    if (description > size || note.n_descsz > size - description) {
      return false;
    }
    if (visit(note.n_type, notes + name, note.n_namesz, notes + description, note.n_descsz)) {
      return true;
    }
    const u64 next = description + padded(note.n_descsz);
    if (next > size) {
      return false;
    }
    at = next;
  }
  return false;
}

inline bool find_build_id(const u8* notes, u64 size, u64 alignment, ModuleId& id) {
  return for_each_note(notes, size, alignment,
                       [&id](u32 type, const u8* name, u32 name_size, const u8* data, u32 count) {
                         if (type != NT_GNU_BUILD_ID || name_size != 4 ||
                             std::memcmp(name, "GNU", 4) != 0 || count == 0) {
                           return false;
                         }
                         id = ModuleId{};
                         id.size =
                             static_cast<u8>(count < sizeof id.bytes ? count : sizeof id.bytes);
                         id.kind = ModuleIdKind::build_id;
                         std::memcpy(id.bytes, data, id.size);
                         return true;
                       });
}

inline ModuleId content_id_of(u64 hash) {
  ModuleId id{};
  id.size = sizeof hash;
  id.kind = ModuleIdKind::content_hash;
  std::memcpy(id.bytes, &hash, sizeof hash);
  return id;
}

}  // namespace selfheal::image
