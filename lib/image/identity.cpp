// What a module is: its build-id or content hash, and whether blame passes over it.
#define XXH_INLINE_ALL
#include <cstring>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <string_view>
#include <sys/auxv.h>
#include <xxhash.h>

#include "lib/image/module.h"
#include "lib/image/notes.h"
#include "lib/image/reader.h"
#include "lib/image/symbols.h"

namespace selfheal::image {

namespace {

bool holds_function(const Module& module, u64 address) {
  return address - module.start < module.end - module.start;
}

bool has_text_relocations(const Module& module) {
  Reader reader(module, module.dynamic);
  while (reader.ok()) {
    const i64 tag = reader.read<i64>();
    const u64 value = reader.read<u64>();
    if (tag == DT_NULL) {
      return false;
    }
    if (tag == DT_TEXTREL || (tag == DT_FLAGS && (value & DF_TEXTREL) != 0)) {
      return true;
    }
  }
  return false;
}

// Libraries whose functions work on what they are handed: a crash inside is the caller's mistake.
constexpr std::string_view system_sonames[] = {
    "libc.so.6",      "ld-linux-x86-64.so.2", "linux-vdso.so.1", "libpthread.so.0",
    "libm.so.6",      "libmvec.so.1",         "libdl.so.2",      "librt.so.1",
    "libresolv.so.2", "libstdc++.so.6",       "libgcc_s.so.1",   "libc++.so.1",
    "libc++abi.so.1", "libunwind.so.1",       "libunwind.so.8",  "libselfheal.so",
};

}  // namespace

ModuleId content_id(const Module& module) {
  if (has_text_relocations(module)) {
    return ModuleId{};
  }
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const Segment& segment = module.segments[i];
    if ((segment.flags & PF_W) != 0) {
      continue;
    }
    const u64 head[3] = {module.offset_of(segment.start), segment.file_size, segment.flags};
    XXH64_update(&state, head, sizeof head);
    u8 buffer[2048];
    for (u64 done = 0; done < segment.file_size;) {
      const u64 left = segment.file_size - done;
      const u64 size = left < sizeof buffer ? left : sizeof buffer;
      if (!read_original(module, segment.start + done, buffer, size)) {
        return ModuleId{};
      }
      XXH64_update(&state, buffer, size);
      done += size;
    }
  }
  return content_id_of(XXH64_digest(&state));
}

bool is_own_module(const Module& module) {
  return holds_function(module, address_of_function(&is_own_module));
}

bool is_system_library(const Module& module) {
  if (is_own_module(module) || holds_function(module, address_of_function(&gnu_get_libc_version)) ||
      holds_function(module, address_of_function(&_dl_find_object)) ||
      module.start == getauxval(AT_SYSINFO_EHDR)) {
    return true;
  }
  const std::string_view name = soname(module);
  for (const std::string_view known : system_sonames) {
    if (name == known) {
      return true;
    }
  }
  return false;
}

bool is_allocator(const Module& module) {
  Symbol symbol{};
  const bool program = module.name[0] == '\0';
  return !program && find_symbol(module, "malloc", symbol) && find_symbol(module, "free", symbol);
}

const char* base_name(const Module& module) {
  // AT_EXECFN lies behind the environment, where setproctitle tricks do not reach.
  const char* name = module.name;
  if (name[0] == '\0') {
    name = pointer_to<const char>(getauxval(AT_EXECFN));
    name = name != nullptr ? name : soname(module);
  }
  const char* slash = std::strrchr(name, '/');
  name = slash != nullptr ? slash + 1 : name;
  return name[0] != '\0' ? name : "program";
}

}  // namespace selfheal::image
