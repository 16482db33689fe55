// How a record of the undo log looks in memory; see the picture in undo_log.h.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

inline constexpr u64 action_kind = u64{1} << 63;
inline constexpr u64 long_kind = u64{1} << 62;
inline constexpr unsigned short_address_bits = 48;
inline constexpr u64 short_address_mask = (u64{1} << short_address_bits) - 1;
inline constexpr u64 largest_short = (u64{1} << (62 - short_address_bits)) - 8;

constexpr u64 words(u64 size) {
  return (size + 7) & ~u64{7};
}

inline u64 word_at(u64 address) {
  return *pointer_to<const u64>(address);
}

constexpr bool fits_short(u64 address, u64 size) {
  return size <= largest_short && address <= short_address_mask;
}

constexpr u64 short_header(u64 address, u64 size) {
  return size << short_address_bits | address;
}

struct RecordView {
  u64 begin;  // of the record; where bytes are kept, that is where the first of them lies
  u64 address;
  u64 size;  // of the bytes; 0: an action
};

// The record that ends at `end`.
inline RecordView record_before(u64 end, u64 action_size) {
  const u64 header = word_at(end - 8);
  if ((header & action_kind) != 0) {
    return {end - action_size, 0, 0};
  }
  if ((header & long_kind) != 0) {
    const u64 size = header & ~long_kind;
    return {end - 16 - words(size), word_at(end - 16), size};
  }
  const u64 size = header >> short_address_bits;
  return {end - 8 - words(size), header & short_address_mask, size};
}

}  // namespace selfheal::emulator
