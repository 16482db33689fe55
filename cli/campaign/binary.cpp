#include "cli/campaign/binary.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <system_error>

#include "lib/image/cfi.h"
#include "lib/image/elf_file.h"
#include "lib/recover/cfi_row.h"

namespace selfheal::cli::campaign {
namespace {

constexpr u64 largest_image = u64{1} << 32;

bool collect(const image::Function& function, void* context) {
  static_cast<std::vector<image::Function>*>(context)->push_back(function);
  return true;
}

}  // namespace

Result<std::unique_ptr<Binary>> Binary::open(const std::string& path) {
  std::unique_ptr<Binary> binary(new Binary(path));
  image::ElfFile facts;
  if (!image::inspect_file(path.c_str(), facts) || !facts.is_64_bit || facts.machine != EM_X86_64 ||
      facts.id.kind == ModuleIdKind::none) {
    return fail(fmt::format("cannot use '{}': not a whole x86-64 ELF file", path));
  }
  binary->module_.id = facts.id;
  if (!binary->lay_out()) {
    return fail(fmt::format("cannot use '{}': damaged, or too large", path));
  }
  binary->find_parts();
  binary->abort_slot_ = binary->view_.import_slot("abort");
  if (binary->parts_.empty()) {
    return fail(fmt::format("cannot use '{}': it has no .eh_frame_hdr table of functions", path));
  }
  return binary;
}

Binary::~Binary() {
  if (memory_ != nullptr) {
    munmap(memory_, size_);
  }
}

bool Binary::lay_out() {
  const image::FileView file(path_.c_str());
  const image::Bytes& bytes = file.bytes();
  Elf64_Ehdr header;
  if (!bytes.read(0, header) || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  u64 low = ~u64{0};
  u64 high = 0;
  for (u64 i = 0; i < segments.size(); ++i) {
    Elf64_Phdr& segment = segments[i];
    if (!bytes.read(header.e_phoff + i * sizeof segment, segment)) {
      return false;
    }
    if (segment.p_type == PT_LOAD) {
      if (!bytes.holds(segment.p_offset, segment.p_filesz) || segment.p_filesz > segment.p_memsz ||
          segment.p_memsz > largest_image || segment.p_vaddr > largest_image) {
        return false;
      }
      low = std::min(low, page_down(segment.p_vaddr));
      high = std::max(high, page_up(segment.p_vaddr + segment.p_memsz));
    }
  }
  if (low >= high) {
    return false;
  }
  void* memory =
      mmap(nullptr, high - low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return false;
  }
  memory_ = static_cast<u8*>(memory);
  size_ = high - low;
  module_.start = address_of(memory_);
  module_.end = module_.start + size_;
  module_.bias = module_.start - low;
  module_.name = path_.c_str();
  for (const Elf64_Phdr& segment : segments) {
    const u64 start = module_.bias + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && module_.segment_count < image::max_segments) {
      std::memcpy(pointer_to<u8>(start), bytes.data + segment.p_offset, segment.p_filesz);
      module_.segments[module_.segment_count++] = {start, start + segment.p_memsz, segment.p_filesz,
                                                   segment.p_flags, 0};
      stretches_.push_back(
          {segment.p_vaddr, segment.p_offset, segment.p_filesz, (segment.p_flags & PF_X) != 0});
    } else if (segment.p_type == PT_GNU_EH_FRAME) {
      module_.eh_frame_hdr = start;
      module_.eh_frame_hdr_size = segment.p_memsz;
    }
  }
  return true;
}

void Binary::find_parts() {
  std::vector<image::Function> functions;
  image::for_each_function(module_, collect, &functions);
  for (const image::Function& function : functions) {
    if (function.signal_frame || function.size == 0 || !module_.executable(function.start)) {
      continue;
    }
    Part part{module_.offset_of(function.start), function.size, 0, function.cold};
    part.function = part.start;
    image::Function parent;
    if (function.cold) {
      if (!image::parent_of_cold(module_, function, parent)) {
        continue;  // nobody jumps there
      }
      part.function = module_.offset_of(parent.start);
    }
    parts_.push_back(part);
  }
}

bool Binary::same_frame(u64 a, u64 b) const {
  image::FrameEntry entry;
  recover::Row row_a;
  recover::Row row_b;
  const u64 bias = module_.bias;
  return image::frame_entry_of(module_, bias + a, entry) &&
         recover::find_row(module_, entry, bias + a, row_a) &&
         b + bias - entry.start < entry.size &&
         recover::find_row(module_, entry, bias + b, row_b) && row_a == row_b;
}

bool Binary::may_call(u64 address) const {
  image::FrameEntry entry;
  recover::Row row;
  const u64 at = module_.bias + address;
  return image::frame_entry_of(module_, at, entry) && recover::find_row(module_, entry, at, row) &&
         !row.cfa_by_expression && row.cfa_register == recover::dwarf_rsp &&
         row.cfa_offset % 16 == 0;
}

std::string Binary::name() const {
  return std::filesystem::path(path_).filename().string();
}

std::string Binary::build_id() const {
  std::string digits;
  for (unsigned i = 0; i < module_.id.size; ++i) {
    digits += fmt::format("{:02x}", module_.id.bytes[i]);
  }
  return digits;
}

u64 Binary::code_bias() const {
  const auto code = std::find_if(stretches_.begin(), stretches_.end(),
                                 [](const Stretch& stretch) { return stretch.code; });
  return code == stretches_.end() ? 0 : code->address - code->offset;
}

std::string Binary::function_name(u64 entry) const {
  const auto named = view_.function_at(entry);
  return named ? named->name : fmt::format("function at {:#x}", entry);
}

Outcome Binary::write_changed(const std::string& to, const std::vector<Patch>& patches) const {
  std::ifstream in(path_, std::ios::binary);
  std::vector<char> content{std::istreambuf_iterator<char>(in), {}};
  for (const Patch& patch : patches) {
    const auto home =
        std::find_if(stretches_.begin(), stretches_.end(), [&](const Stretch& stretch) {
          return patch.address - stretch.address < stretch.size &&
                 patch.bytes.size() <= stretch.size - (patch.address - stretch.address);
        });
    const u64 offset = home == stretches_.end() ? 0 : home->offset + patch.address - home->address;
    if (home == stretches_.end() || offset + patch.bytes.size() > content.size()) {
      return fail(fmt::format("'{}' has no bytes for address {:#x}", path_, patch.address));
    }
    std::memcpy(content.data() + offset, patch.bytes.data(), patch.bytes.size());
  }
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  std::error_code error;
  std::filesystem::permissions(to, std::filesystem::status(path_, error).permissions(), error);
  if (!out || error) {
    return fail(fmt::format("cannot write '{}': {}; make room, or name another --output", to,
                            std::strerror(errno)));
  }
  return 0;
}

}  // namespace selfheal::cli::campaign
