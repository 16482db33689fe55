// The bytes an instruction is about to store, by kind, under its mask. Logged before it executes.
#include <cpuid.h>

#include "emulator/generated_code.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {
namespace {

bool is_set(u64 mask, unsigned lane) {
  return ((mask >> lane) & 1) != 0;
}

// Elements in a row, as runs of set bits.
bool log_masked(Thread& t, u64 address, unsigned size, unsigned lanes, u64 mask) {
  for (unsigned i = 0; i < lanes;) {
    if (!is_set(mask, i)) {
      ++i;
      continue;
    }
    const unsigned first = i;
    while (i < lanes && is_set(mask, i)) {
      ++i;
    }
    if (!log_range(t, address + u64{first} * size, u64{i - first} * size)) {
      return false;
    }
  }
  return true;
}

u64 low_bits(u64 mask, unsigned lanes) {
  return lanes >= 64 ? mask : mask & ((u64{1} << lanes) - 1);
}

bool log_scattered(Thread& t, const Op& op, const ThunkOp& thunk) {
  alignas(64) u8 indices[64] = {};
  read_vector_register(thunk.index, indices);
  const u64 mask = low_bits(read_mask_register(thunk.mask), thunk.lanes);
  const u64 segment = effective(t, op) - effective_offset(t, op);
  for (unsigned i = 0; i < thunk.lanes; ++i) {
    if (!is_set(mask, i)) {
      continue;
    }
    i64 index;
    if (thunk.index_size == 4) {
      i32 narrow;
      __builtin_memcpy(&narrow, indices + 4 * i, 4);
      index = narrow;
    } else {
      __builtin_memcpy(&index, indices + 8 * i, 8);
    }
    u64 offset = op.displacement + (static_cast<u64>(index) << op.scale);
    if (op.base != no_register) {
      offset += get<u64>(t, op.base);
    }
    if (op.address32) {
      offset = static_cast<u32>(offset);
    }
    if (segment + offset >= user_end) {
      return true;  // faults for sure, and the lanes behind it are not reached
    }
    if (!log_range(t, segment + offset, thunk.size)) {
      return false;
    }
  }
  return true;
}

// Top bits of the mask register's elements, as a mask.
u64 sign_mask(const u8* bytes, unsigned size, unsigned lanes) {
  u64 mask = 0;
  for (unsigned i = 0; i < lanes; ++i) {
    mask |= static_cast<u64>(bytes[(i + 1) * size - 1] >> 7) << i;
  }
  return mask;
}

u64 enabled_components() {
  u32 low;
  u32 high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<u64>(high) << 32) | low;
}

struct XsaveComponent {
  u32 size;
  u32 offset;
  bool aligned;
};
constexpr unsigned component_count = 63;
constinit XsaveComponent components[component_count] = {};

// Legacy area and header, then the requested components (SDM vol. 1, 13.4). More may be kept than
// is written (components in their initial state are left out): that does no harm.
u64 xsave_size(u64 requested, bool compact) {
  u64 end = 576;
  requested &= enabled_components();
  for (unsigned i = 2; i < component_count; ++i) {
    if (!is_set(requested, i)) {
      continue;
    }
    const XsaveComponent& c = components[i];
    if (compact) {
      end = (c.aligned ? (end + 63) & ~u64{63} : end) + c.size;
    } else if (u64{c.offset} + c.size > end) {
      end = u64{c.offset} + c.size;
    }
  }
  return end;
}

u64 cache_line_of(Thread& t, const Op& op) {
  const u64 segment = effective(t, op) - effective_offset(t, op);
  return (segment + (op.address32 ? get<u32>(t, rax * 8) : t.guest.gpr[rax])) & ~u64{63};
}

}  // namespace

void start_store_extents() {
  const u64 enabled = enabled_components();
  for (unsigned i = 2; i < component_count; ++i) {
    if (!is_set(enabled, i)) {
      continue;
    }
    u32 properties;
    u32 d;
    __cpuid_count(0xd, i, components[i].size, components[i].offset, properties, d);
    components[i].aligned = (properties & 2) != 0;
  }
}

bool log_stores(Thread& t, const Op& op) {
  const ThunkOp& thunk = *op.thunk;
  alignas(64) u8 vector[64] = {};
  switch (thunk.store) {
    case StoreKind::fixed:
      return log_range(t, effective(t, op), thunk.size);
    case StoreKind::masked:
      return log_masked(t, effective(t, op), thunk.size, thunk.lanes,
                        read_mask_register(thunk.mask));
    case StoreKind::compressed:
      return log_range(t, effective(t, op),
                       u64{thunk.size} * static_cast<u64>(__builtin_popcountll(low_bits(
                                             read_mask_register(thunk.mask), thunk.lanes))));
    case StoreKind::scattered:
      return log_scattered(t, op, thunk);
    case StoreKind::sign_masked:
      read_vector_register(thunk.mask, vector);
      return log_masked(t, effective(t, op), thunk.size, thunk.lanes,
                        sign_mask(vector, thunk.size, thunk.lanes));
    case StoreKind::at_rdi:
      if (thunk.size == 8) {
        read_mmx_register(thunk.mask, vector);
      } else {
        read_vector_register(thunk.mask, vector);
      }
      return log_masked(t,
                        (op.address32 ? get<u32>(t, rdi * 8) : t.guest.gpr[rdi]) +
                            effective(t, op) - effective_offset(t, op),
                        1, thunk.size, sign_mask(vector, 1, thunk.size));
    case StoreKind::direct:
      return log_range(t, op.address32 ? get<u32>(t, thunk.index) : get<u64>(t, thunk.index), 64);
    case StoreKind::cache_line:
      return log_range(t, cache_line_of(t, op), 64);
    case StoreKind::xsave:
    case StoreKind::xsave_compact:
      return log_range(
          t, effective(t, op),
          xsave_size(get<u32>(t, rax * 8) | static_cast<u64>(get<u32>(t, rdx * 8)) << 32,
                     thunk.store == StoreKind::xsave_compact));
    case StoreKind::enter: {
      const u64 bytes = 8 * (u64{thunk.size} + 1);
      return log_range(t, t.guest.gpr[rsp] - bytes, bytes);
    }
    case StoreKind::none:
    case StoreKind::string:
      break;
  }
  return true;
}

}  // namespace selfheal::emulator
