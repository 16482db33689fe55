// An ELF file laid out in memory as ld.so would (without relocating it), so that lib/image can be
// run on programs that cannot be dlopened, and on damaged copies.
#pragma once

#include <cstring>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "lib/image/module.h"

namespace selfheal::test {

class MappedElf {
 public:
  explicit MappedElf(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
    Elf64_Ehdr header;
    if (file.size() < sizeof header) {
      return;
    }
    std::memcpy(&header, file.data(), sizeof header);
    std::vector<Elf64_Phdr> segments(header.e_phnum);
    std::memcpy(segments.data(), file.data() + header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
    u64 low = ~u64{0};
    u64 high = 0;
    for (const Elf64_Phdr& segment : segments) {
      if (segment.p_type == PT_LOAD) {
        low = std::min(low, page_down(segment.p_vaddr));
        high = std::max(high, page_up(segment.p_vaddr + segment.p_memsz));
      }
    }
    size_ = high - low;
    memory_ = static_cast<u8*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    module.start = address_of(memory_);
    module.end = module.start + size_;
    module.bias = module.start - low;
    module.name = "";
    for (const Elf64_Phdr& segment : segments) {
      const u64 start = module.bias + segment.p_vaddr;
      if (segment.p_type == PT_LOAD) {
        std::memcpy(pointer_to<u8>(start), file.data() + segment.p_offset, segment.p_filesz);
        module.segments[module.segment_count++] = {start, start + segment.p_memsz, segment.p_filesz,
                                                   segment.p_flags, 0};
      } else if (segment.p_type == PT_DYNAMIC) {
        module.dynamic = start;
      } else if (segment.p_type == PT_GNU_EH_FRAME) {
        module.eh_frame_hdr = start;
        module.eh_frame_hdr_size = segment.p_memsz;
      }
    }
  }
  MappedElf(const MappedElf&) = delete;
  MappedElf& operator=(const MappedElf&) = delete;
  ~MappedElf() {
    if (memory_ != nullptr) {
      munmap(memory_, size_);
    }
  }

  image::Module module{};

 private:
  u8* memory_ = nullptr;
  u64 size_ = 0;
};

}  // namespace selfheal::test
