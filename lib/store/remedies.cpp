#include "lib/store/remedies.h"

namespace selfheal::store {
namespace {

bool has(const CatalogEntry& entry, Remedy remedy) {
  return (entry.remedies & static_cast<u8>(remedy)) != 0;
}

void add(CatalogEntry& entry, Remedy remedy) {
  entry.remedies |= static_cast<u8>(remedy);
}

u32 limited(u64 padding) {
  return padding > largest_padding ? largest_padding : static_cast<u32>(padding);
}

// What was seen is the first byte beyond, or the last; twice that leaves room for the rest.
u32 padding_for(const FaultDetail& detail) {
  const u64 beyond = static_cast<u64>(detail.chunk_offset) - detail.chunk_size + 1;
  const u64 wanted = beyond > largest_padding ? largest_padding : (2 * beyond + 15) & ~u64{15};
  return wanted < least_padding ? least_padding : limited(wanted);
}

bool overflows_forward(const FaultDetail& detail) {
  return detail.allocated_at.module != no_module && detail.chunk_offset >= 0 &&
         static_cast<u64>(detail.chunk_offset) >= detail.chunk_size;
}

bool pad(const FaultDetail& detail, CatalogEntry& entry) {
  if (!overflows_forward(detail)) {
    return false;
  }
  const u32 wanted = padding_for(detail);
  const u32 doubled = has(entry, Remedy::pad_allocation) ? limited(u64{entry.padding} * 2) : 0;
  const u32 before = entry.padding;
  entry.padding = wanted > doubled ? wanted : doubled;
  add(entry, Remedy::pad_allocation);
  return entry.padding != before;
}

}  // namespace

bool is_heap_fault(FaultKind kind) {
  return kind == FaultKind::heap_corruption || kind == FaultKind::bad_free ||
         kind == FaultKind::heap_overflow || kind == FaultKind::use_after_free;
}

bool choose_remedies(const FaultRecord& record, CatalogEntry& entry) {
  if (entry.remedies_by_user != 0) {
    return false;
  }
  const u8 before = entry.remedies;
  switch (record.fault.kind) {
    case FaultKind::heap_overflow:
      return pad(record.detail, entry);
    case FaultKind::use_after_free:
      if (record.detail.freed_at.module != no_module) {
        add(entry, Remedy::delay_free);
      }
      return entry.remedies != before;
    case FaultKind::bad_free:
      add(entry, Remedy::ignore_free);
      return entry.remedies != before;
    default:
      return false;
  }
}

bool strengthen_remedies(const HealRecord& record, CatalogEntry& entry) {
  if (record.fault.kind != FaultKind::heap_overflow || record.remedies != 0 ||
      !has(entry, Remedy::pad_allocation) || entry.remedies_by_user != 0) {
    return false;
  }
  const u32 before = entry.padding;
  entry.padding = limited(u64{before} * 2);
  return entry.padding != before;
}

bool needs_engine(const CatalogEntry& entry) {
  const bool found_afterwards =
      entry.fault_kind == FaultKind::heap_overflow && entry.access == Access::none;
  return !(entry.fault_kind == FaultKind::bad_free && has(entry, Remedy::ignore_free)) &&
         !(found_afterwards && has(entry, Remedy::pad_allocation));
}

}  // namespace selfheal::store
