// Finds modules. The picture of what is read, all of it mapped and kept by ld.so:
//
//   _dl_find_object(address) ─► map start ─► ELF header ─► program headers ─► PT_LOAD segments,
//                           └─► link_map: load bias, name                     PT_NOTE, PT_DYNAMIC,
//                           ...
//
// The program headers are only believed when they lie in the first page with the ELF header, as
// every linker places them: that page is known to be mapped, the next one is not.
#include "lib/image/module.h"

#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include "lib/image/notes.h"
#include "lib/image/reader.h"

namespace selfheal::image {

namespace {

constinit std::atomic<OriginalBytesHook> original_bytes_hook{nullptr};

// A module has more than max_segments PT_LOADs only when it is made to: the rest stays invisible.
void add_segment(Module& module, const Elf64_Phdr& header) {
  const u64 start = module.bias + header.p_vaddr;
  if (module.segment_count == max_segments || header.p_memsz == 0 ||
      start + header.p_memsz < start || start < module.start ||
      start + header.p_memsz > module.end) {
    return;
  }
  const u64 file_size = header.p_filesz < header.p_memsz ? header.p_filesz : header.p_memsz;
  module.segments[module.segment_count++] = {start, start + header.p_memsz, file_size,
                                             header.p_flags, 0};
}

bool fill(Module& module, const Elf64_Phdr* headers, unsigned count) {
  module.dynamic = 0;
  module.eh_frame_hdr = 0;
  module.eh_frame_hdr_size = 0;
  module.id = ModuleId{};
  module.segment_count = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Elf64_Phdr& header = headers[i];
    switch (header.p_type) {
      case PT_LOAD:
        add_segment(module, header);
        break;
      case PT_DYNAMIC:
        module.dynamic = module.bias + header.p_vaddr;
        break;
      case PT_GNU_EH_FRAME:
        module.eh_frame_hdr = module.bias + header.p_vaddr;
        module.eh_frame_hdr_size = header.p_memsz;
        break;
      default:
        break;
    }
  }
  return module.segment_count != 0;
}

// The headers of the module mapped at [start, end), which begin its first page; null if damaged.
const Elf64_Phdr* program_headers(u64 start, u64 end, unsigned& count) {
  if (end - start < page_size) {
    return nullptr;
  }
  const auto* header = pointer_to<const Elf64_Ehdr>(start);
  if (std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr) ||
      header->e_phoff > page_size || header->e_phoff % alignof(Elf64_Phdr) != 0 ||
      header->e_phnum > (page_size - header->e_phoff) / sizeof(Elf64_Phdr)) {
    return nullptr;
  }
  count = header->e_phnum;
  return pointer_to<const Elf64_Phdr>(start + header->e_phoff);
}

// From the first page to the last, holes included.
void set_span(Module& module, const Elf64_Phdr* headers, unsigned count) {
  module.start = ~u64{0};
  module.end = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Elf64_Phdr& header = headers[i];
    if (header.p_type == PT_LOAD) {
      const u64 start = page_down(module.bias + header.p_vaddr);
      const u64 end = page_up(module.bias + header.p_vaddr + header.p_memsz);
      module.start = start < module.start ? start : module.start;
      module.end = end > module.end ? end : module.end;
    }
  }
}

// The kernel maps a program's segments one by one and leaves holes between them open (ld.so does
// not, for libraries). `_dl_find_object` then speaks of the one segment; the kernel has told where
// the program headers are. Null when it told of another file's: ld.so, run as a command.
const Elf64_Phdr* headers_of_program(Module& module, unsigned& count) {
  const u64 address = getauxval(AT_PHDR);
  const auto* headers = pointer_to<const Elf64_Phdr>(address);
  count = static_cast<unsigned>(getauxval(AT_PHNUM));
  for (unsigned i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR && module.bias + headers[i].p_vaddr == address) {
      set_span(module, headers, count);
      return headers;
    }
  }
  return nullptr;
}

const Elf64_Phdr* locate(u64 address, Module& module, unsigned& count) {
  dl_find_object found;
  if (_dl_find_object(pointer_to<void>(address), &found) != 0) {
    return nullptr;
  }
  module.start = address_of(found.dlfo_map_start);
  module.end = address_of(found.dlfo_map_end);
  module.bias = found.dlfo_link_map->l_addr;
  module.name = found.dlfo_link_map->l_name != nullptr ? found.dlfo_link_map->l_name : "";
  const Elf64_Phdr* headers = program_headers(module.start, module.end, count);
  if (headers == nullptr && module.name[0] == '\0') {
    headers = headers_of_program(module, count);
  }
  return headers != nullptr && fill(module, headers, count) ? headers : nullptr;
}

void identify(Module& module, const Elf64_Phdr* headers, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const Elf64_Phdr& header = headers[i];
    const u64 notes = module.bias + header.p_vaddr;
    if (header.p_type == PT_NOTE && module.readable(notes, header.p_memsz) &&
        find_build_id(pointer_to<const u8>(notes), header.p_memsz, header.p_align, module.id)) {
      return;
    }
  }
  module.id = content_id(module);
}

// A module that ld.so has mapped and listed, but not yet told `_dl_find_object` of: the state in
// which a module is shown to debuggers, and to us (lib/patch/module_watch.h).
bool describe_listed(const dl_phdr_info& info, Module& module) {
  module.bias = info.dlpi_addr;
  set_span(module, info.dlpi_phdr, info.dlpi_phnum);
  module.name = info.dlpi_name != nullptr ? info.dlpi_name : "";
  if (module.start >= module.end || !fill(module, info.dlpi_phdr, info.dlpi_phnum)) {
    return false;
  }
  identify(module, info.dlpi_phdr, info.dlpi_phnum);
  return true;
}

}  // namespace

bool Module::readable(u64 address, u64 size) const {
  return readable_segment(*this, address, size) != nullptr;
}

bool Module::executable(u64 address) const {
  for (unsigned i = 0; i < segment_count; ++i) {
    if ((segments[i].flags & PF_X) != 0 && segments[i].holds(address, 1)) {
      return true;
    }
  }
  return false;
}

bool locate_module(u64 address, Module& module) {
  unsigned count = 0;
  return locate(address, module, count) != nullptr;
}

bool find_module(u64 address, Module& module) {
  unsigned count = 0;
  const Elf64_Phdr* headers = locate(address, module, count);
  if (headers == nullptr) {
    return false;
  }
  identify(module, headers, count);
  return true;
}

bool executable(u64 address) {
  Module module;
  return locate_module(address, module) && module.executable(address);
}

void for_each_module(bool (*visit)(const Module&, void*), void* context) {
  struct Pass {
    bool (*visit)(const Module&, void*);
    void* context;
  } pass{visit, context};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) -> int {
        auto* p = static_cast<Pass*>(data);
        Module module;
        return !describe_listed(*info, module) || p->visit(module, p->context) ? 0 : 1;
      },
      &pass);
}

void set_original_bytes_hook(OriginalBytesHook hook) {
  original_bytes_hook.store(hook, std::memory_order_release);
}

bool read_original(const Module& module, u64 address, u8* out, u64 size) {
  if (!module.readable(address, size)) {
    return false;
  }
  std::memcpy(out, pointer_to<const void>(address), size);
  if (const OriginalBytesHook hook = original_bytes_hook.load(std::memory_order_acquire)) {
    hook(address, out, size);
  }
  return true;
}

u64 read_original(u64 address, u8* out, u64 size) {
  Module module;
  if (!locate_module(address, module)) {
    return 0;
  }
  const Segment* segment = readable_segment(module, address, 1);
  if (segment == nullptr) {
    return 0;
  }
  const u64 left = segment->end - address;
  const u64 count = size < left ? size : left;
  return read_original(module, address, out, count) ? count : 0;
}

}  // namespace selfheal::image
