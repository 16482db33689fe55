#include "lib/image/reader.h"

namespace selfheal::image {
namespace {

// LSB 5.0 Core, table 10-3 and 10-4.
enum : u8 {
  pe_absptr = 0x00,
  pe_uleb128 = 0x01,
  pe_udata2 = 0x02,
  pe_udata4 = 0x03,
  pe_udata8 = 0x04,
  pe_sleb128 = 0x09,
  pe_sdata2 = 0x0a,
  pe_sdata4 = 0x0b,
  pe_sdata8 = 0x0c,
  pe_format_mask = 0x0f,
  pe_pcrel = 0x10,
  pe_datarel = 0x30,
  pe_base_mask = 0x70,
  pe_omit = 0xff,
};

u64 sign_extended(i64 value) {
  return static_cast<u64>(value);
}

}  // namespace

const Segment* readable_segment(const Module& module, u64 address, u64 size) {
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const Segment& segment = module.segments[i];
    if ((segment.flags & PF_R) != 0 && segment.holds(address, size)) {
      return &segment;
    }
  }
  return nullptr;
}

unsigned encoded_size(u8 encoding) {
  switch (encoding & pe_format_mask) {
    case pe_udata2:
    case pe_sdata2:
      return 2;
    case pe_udata4:
    case pe_sdata4:
      return 4;
    case pe_absptr:
    case pe_udata8:
    case pe_sdata8:
      return 8;
    default:
      return 0;
  }
}

u64 Reader::encoded(u8 encoding, u64 data_base) {
  if (encoding == pe_omit) {
    return 0;
  }
  const u64 position = at_;
  u64 value = 0;
  switch (encoding & pe_format_mask) {
    case pe_absptr:
    case pe_udata8:
    case pe_sdata8:
      value = read<u64>();
      break;
    case pe_uleb128:
      value = uleb();
      break;
    case pe_sleb128:
      value = sign_extended(sleb());
      break;
    case pe_udata2:
      value = read<u16>();
      break;
    case pe_sdata2:
      value = sign_extended(read<i16>());
      break;
    case pe_udata4:
      value = read<u32>();
      break;
    case pe_sdata4:
      value = sign_extended(read<i32>());
      break;
    default:
      fail();
      return 0;
  }
  switch (encoding & pe_base_mask) {
    case 0:
      return value;
    case pe_pcrel:
      return value + position;
    case pe_datarel:
      return value + data_base;
    default:  // textrel, funcrel and aligned do not occur on x86-64
      fail();
      return 0;
  }
}

}  // namespace selfheal::image
