// The bytes an instruction is about to store, by kind, under its mask. Logged before it executes.
#include <cpuid.h>

#include "emulator/actions.h"
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
constinit bool tells_use = false;

// Which components differ from their initial state; all, where the processor does not tell.
u64 components_in_use() {
  if (!tells_use) {
    return ~u64{0};
  }
  u32 low;
  u32 high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return (static_cast<u64>(high) << 32) | low;
}

// The legacy area's pieces, and the header's written part (SDM vol. 1, 13.5.1, 13.7, 13.10).
bool log_legacy_pieces(Thread& t, u64 area, u64 saved, u64 requested, bool compact) {
  const bool x87 = is_set(saved, 0);
  const bool sse = is_set(saved, 1);
  const bool control = (requested & 6) != 0;  // MXCSR and its mask
  return (!x87 || (log_range(t, area, 24) && log_range(t, area + 32, 128))) &&
         (!control || log_range(t, area + 24, 8)) && (!sse || log_range(t, area + 160, 256)) &&
         log_range(t, area + 512, compact ? 16 : 8);
}

bool log_xsave(Thread& t, u64 area, u64 mask, StoreKind kind) {
  const bool compact = kind == StoreKind::xsave_compact;
  const u64 requested = mask & enabled_components();
  const u64 saved = kind == StoreKind::xsave ? requested : requested & components_in_use();
  if (!log_legacy_pieces(t, area, saved, requested, compact)) {
    return false;
  }
  u64 end = 576;  // of the compact format so far
  for (unsigned i = 2; i < component_count; ++i) {
    if (!is_set(requested, i)) {
      continue;
    }
    const XsaveComponent& c = components[i];
    const u64 at = !compact ? c.offset : c.aligned ? (end + 63) & ~u64{63} : end;
    end = at + c.size;
    if (is_set(saved, i) && !log_range(t, area + at, c.size)) {
      return false;
    }
  }
  return true;
}

u64 cache_line_of(Thread& t, const Op& op) {
  const u64 segment = effective(t, op) - effective_offset(t, op);
  return (segment + (op.address32 ? get<u32>(t, rax * 8) : t.guest.gpr[rax])) & ~u64{63};
}

// Downwards, as they are made: some may be done when one faults.
bool log_pushes(Thread& t, u64 size, u64 count) {
  for (u64 i = 1; i <= count; ++i) {
    if (!log_range(t, t.guest.gpr[rsp] - i * size, size)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void start_store_extents() {
  u32 abilities;
  u32 b;
  u32 c;
  u32 d;
  constexpr u32 xgetbv_of_use = 4;
  tells_use =
      __get_cpuid_count(0xd, 1, &abilities, &b, &c, &d) != 0 && (abilities & xgetbv_of_use) != 0;
  const u64 enabled = enabled_components();
  for (unsigned i = 2; i < component_count; ++i) {
    if (!is_set(enabled, i)) {
      continue;
    }
    u32 properties;
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
    case StoreKind::xsave_used:
    case StoreKind::xsave_compact:
      return log_xsave(t, effective(t, op),
                       get<u32>(t, rax * 8) | static_cast<u64>(get<u32>(t, rdx * 8)) << 32,
                       thunk.store);
    case StoreKind::push:
      return log_range(t, t.guest.gpr[rsp] - thunk.size, thunk.size);
    case StoreKind::gs_base:
      if (!t.log.action(Action::restore_gs_base, gs_base())) {
        stop_here(t, Stop::log_full);
        return false;
      }
      return true;
    case StoreKind::enter:
      return log_pushes(t, thunk.size, thunk.lanes);
    case StoreKind::none:
    case StoreKind::string:
      break;
  }
  return true;
}

}  // namespace selfheal::emulator
