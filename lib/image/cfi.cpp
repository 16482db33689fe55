#include "lib/image/cfi.h"

#include "lib/image/reader.h"

namespace selfheal::image {
namespace {

// Positions the reader behind the length word; the record then ends at `end`. 64-bit lengths
// (0xffffffff) are allowed by the format.
bool open_record(Reader& reader, u64& end) {
  u64 length = reader.read<u32>();
  if (length == 0xffffffff) {
    length = reader.read<u64>();
  }
  if (!reader.ok() || length == 0 || length > reader.left()) {
    return false;
  }
  end = reader.at() + length;
  return true;
}

constexpr u8 pe_omit = 0xff;
constexpr u8 pe_indirect = 0x80;

// The augmentation string "zPLRS": what each letter adds to the augmentation data.
bool read_augmentation(const Module& module, Reader& reader, u64 string, u64 end,
                       FrameEntry& entry) {
  Reader letters(module, string, end);
  if (letters.read<u8>() != 'z') {
    return false;
  }
  const u64 size = reader.uleb();
  const u64 data = reader.at();
  for (u8 letter = letters.read<u8>(); letter != 0; letter = letters.read<u8>()) {
    switch (letter) {
      case 'R':
        entry.pointer_encoding = reader.read<u8>();
        break;
      case 'P':
        entry.personality = read_pointer(module, reader, reader.read<u8>());
        break;
      case 'L':
        entry.lsda_encoding = reader.read<u8>();
        break;
      case 'S':
        entry.signal_frame = true;
        break;
      case 'B':  // AArch64 only
      default:
        return false;
    }
  }
  if (!reader.ok() || !letters.ok() || size > end - data) {
    return false;
  }
  reader.seek(data + size);
  return reader.ok();
}

bool read_cie(const Module& module, u64 address, FrameEntry& entry, bool& augmented) {
  Reader reader(module, address);
  u64 end = 0;
  if (!open_record(reader, end) || reader.read<u32>() != 0) {
    return false;
  }
  const u8 version = reader.read<u8>();
  if (version != 1 && version != 3) {
    return false;
  }
  const u64 string = reader.at();
  while (reader.read<u8>() != 0) {
  }
  entry.code_alignment = reader.uleb();
  entry.data_alignment = reader.sleb();
  entry.return_register = version == 1 ? reader.read<u8>() : reader.uleb();
  entry.pointer_encoding = 0;
  entry.signal_frame = false;
  entry.lsda_encoding = pe_omit;
  entry.personality = 0;
  augmented = Reader(module, string).read<u8>() != 0;
  if (!reader.ok() || reader.at() > end ||
      (augmented && !read_augmentation(module, reader, string, end, entry))) {
    return false;
  }
  entry.initial_begin = reader.at();
  entry.initial_end = end;
  return entry.initial_begin <= end;
}

}  // namespace

u64 read_pointer(const Module& module, Reader& reader, u8 encoding) {
  const u64 begin = reader.at();
  const bool is_null = Reader(module, begin).encoded(encoding & 0x0f) == 0;
  const u64 value = reader.encoded(encoding);
  if (encoding == pe_omit || is_null) {
    return 0;
  }
  return (encoding & pe_indirect) != 0 ? Reader(module, value).read<u64>() : value;
}

bool read_frame_entry(const Module& module, u64 address, FrameEntry& entry) {
  Reader reader(module, address);
  u64 end = 0;
  if (!open_record(reader, end)) {
    return false;
  }
  const u64 id_position = reader.at();
  const u32 cie_distance = reader.read<u32>();
  bool augmented = false;
  if (!reader.ok() || cie_distance == 0 ||
      !read_cie(module, id_position - cie_distance, entry, augmented)) {
    return false;
  }
  entry.start = reader.encoded(entry.pointer_encoding);
  entry.size = reader.encoded(entry.pointer_encoding & 0x0f);
  entry.lsda = 0;
  if (augmented) {
    const u64 size = reader.uleb();
    const u64 data = reader.at();
    if (size != 0 && entry.lsda_encoding != pe_omit) {
      entry.lsda = read_pointer(module, reader, entry.lsda_encoding);
    }
    reader.seek(data);
    reader.skip(size);
  }
  entry.begin = reader.at();
  entry.end = end;
  return reader.ok() && entry.begin <= end && entry.size != 0 &&
         entry.start + entry.size > entry.start;
}

bool frame_table(const Module& module, FrameTable& table) {
  if (module.eh_frame_hdr == 0 || !module.readable(module.eh_frame_hdr, module.eh_frame_hdr_size)) {
    return false;
  }
  const u64 end = module.eh_frame_hdr + module.eh_frame_hdr_size;
  Reader reader(module, module.eh_frame_hdr, end);
  const u8 version = reader.read<u8>();
  const u8 frame_encoding = reader.read<u8>();
  const u8 count_encoding = reader.read<u8>();
  table.header = module.eh_frame_hdr;
  table.encoding = reader.read<u8>();
  reader.encoded(frame_encoding, table.header);
  table.count = reader.encoded(count_encoding, table.header);
  table.entries = reader.at();
  const u64 entry_size = u64{2} * encoded_size(table.encoding);
  return reader.ok() && version == 1 && count_encoding != 0xff && table.encoding != 0xff &&
         entry_size != 0 && table.count <= (end - table.entries) / entry_size && table.count != 0;
}

bool frame_table_entry(const Module& module, const FrameTable& table, u64 index, u64& start,
                       u64& fde) {
  if (index >= table.count) {
    return false;
  }
  Reader reader(module, table.entries + index * 2 * encoded_size(table.encoding));
  start = reader.encoded(table.encoding, table.header);
  fde = reader.encoded(table.encoding, table.header);
  return reader.ok();
}

bool find_frame_entry(const Module& module, const FrameTable& table, u64 address, u64& start,
                      u64& fde) {
  u64 low = 0;  // entries before `low` start at or before the address
  u64 high = table.count;
  while (low < high) {
    const u64 middle = low + (high - low) / 2;
    if (!frame_table_entry(module, table, middle, start, fde)) {
      return false;
    }
    if (start <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low != 0 && frame_table_entry(module, table, low - 1, start, fde);
}

bool frame_entry_of(const Module& module, u64 address, FrameEntry& entry) {
  FrameTable table;
  u64 start = 0;
  u64 fde = 0;
  return frame_table(module, table) && find_frame_entry(module, table, address, start, fde) &&
         read_frame_entry(module, fde, entry) && address - entry.start < entry.size;
}

bool starts_inside_frame(const Module& module, const FrameEntry& entry) {
  Reader reader(module, entry.begin, entry.end);
  while (reader.left() != 0) {
    const u8 op = reader.read<u8>();
    switch (op) {
      case cfa_nop:
      case cfa_remember_state:
        continue;
      case cfa_gnu_args_size:
        reader.uleb();
        continue;
      case cfa_def_cfa:
      case cfa_def_cfa_register:
      case cfa_def_cfa_offset:
      case cfa_def_cfa_expression:
      case cfa_def_cfa_sf:
      case cfa_def_cfa_offset_sf:
      case cfa_offset_extended:
      case cfa_expression:
        return true;
      default:  // an advance, or a rule that an ordinary function may begin with (undefined rip)
        return (op & 0xc0) == cfa_offset;
    }
  }
  return false;
}

}  // namespace selfheal::image
