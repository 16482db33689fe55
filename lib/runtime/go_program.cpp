#include "lib/runtime/go_program.h"

#include <cstring>
#include <elf.h>
#include <span>
#include <sys/auxv.h>

#include "lib/base/types.h"
#include "lib/image/notes.h"

namespace selfheal::runtime {
namespace {

constexpr u32 go_build_id_note = 4;  // cmd/internal/buildid/note.go, elfGoBuildIDTag

bool is_go_note(u32 type, const u8* name, u32 size) {
  return type == go_build_id_note && size == 4 && std::memcmp(name, "Go", 3) == 0;
}

}  // namespace

bool is_go_program() {
  const u64 headers = getauxval(AT_PHDR);
  const std::span segments(pointer_to<const Elf64_Phdr>(headers), getauxval(AT_PHNUM));
  if (headers == 0 || getauxval(AT_PHENT) != sizeof(Elf64_Phdr)) {
    return false;
  }
  u64 bias = 0;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_PHDR) {
      bias = headers - segment.p_vaddr;
    }
  }
  bool found = false;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_NOTE) {
      image::for_each_note(pointer_to<const u8>(bias + segment.p_vaddr), segment.p_memsz,
                           segment.p_align,
                           [&](u32 type, const u8* name, u32 size, const u8*, u32) {
                             found = found || is_go_note(type, name, size);
                             return found;
                           });
    }
  }
  return found;
}

}  // namespace selfheal::runtime
