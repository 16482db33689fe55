#include "lib/patch/loader.h"

#include <sys/auxv.h>

#include "lib/base/types.h"

namespace selfheal::patch {
namespace {

const ElfW(Dyn) * program_dynamic() {
  const auto* headers = pointer_to<const ElfW(Phdr)>(getauxval(AT_PHDR));
  const u64 count = getauxval(AT_PHNUM);
  u64 bias = 0;
  u64 dynamic = 0;
  for (u64 i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) {
      bias = address_of(headers) - headers[i].p_vaddr;
    } else if (headers[i].p_type == PT_DYNAMIC) {
      dynamic = headers[i].p_vaddr;
    }
  }
  return dynamic == 0 ? nullptr : pointer_to<const ElfW(Dyn)>(bias + dynamic);
}

}  // namespace

const r_debug* loader_debug() {
  for (const ElfW(Dyn)* entry = program_dynamic(); entry != nullptr && entry->d_tag != DT_NULL;
       ++entry) {
    if (entry->d_tag == DT_DEBUG && entry->d_un.d_ptr != 0) {
      return pointer_to<const r_debug>(entry->d_un.d_ptr);
    }
  }
  return &_r_debug;
}

}  // namespace selfheal::patch
