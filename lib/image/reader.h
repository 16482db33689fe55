// Reads a module's tables byte by byte, never outside the segment they began in.
//
// Sticky failure: after the first read that does not fit, `ok()` is false and every read gives 0,
// so a parser checks once at its end. Used by everything in lib/image that follows a table.
#pragma once

#include <cstring>

#include "lib/image/module.h"

namespace selfheal::image {

// The readable segment that holds [address, address + size), or null.
const Segment* readable_segment(const Module& module, u64 address, u64 size);

class Reader {
 public:
  // Starts at `address`; the limit is the end of the readable segment that holds it, or `limit`
  // where that is lower.
  Reader(const Module& module, u64 address, u64 limit = ~u64{0}) : at_(address), limit_(address) {
    if (const Segment* segment = readable_segment(module, address, 1)) {
      limit_ = segment->end < limit ? segment->end : limit;
    } else {
      ok_ = false;
    }
  }

  bool ok() const { return ok_; }
  u64 at() const { return at_; }
  u64 left() const { return ok_ && limit_ > at_ ? limit_ - at_ : 0; }

  void fail() { ok_ = false; }
  void seek(u64 address) {
    if (address > limit_) {
      ok_ = false;
    }
    at_ = address;
  }
  void skip(u64 count) {
    if (count > left()) {
      ok_ = false;
      return;
    }
    at_ += count;
  }

  template <typename T>
  T read() {
    T value{};
    if (sizeof(T) > left()) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, pointer_to<const void>(at_), sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // DWARF 5, 7.6. Bits beyond the 64th are dropped.
  u64 uleb() {
    u64 value = 0;
    for (unsigned shift = 0; ok_; shift += 7) {
      const u8 byte = read<u8>();
      value |= shift < 64 ? u64{byte & 0x7fu} << shift : 0;
      if ((byte & 0x80) == 0) {
        break;
      }
    }
    return value;
  }

  i64 sleb() {
    u64 value = 0;
    for (unsigned shift = 0; ok_;) {
      const u8 byte = read<u8>();
      value |= shift < 64 ? u64{byte & 0x7fu} << shift : 0;
      shift += 7;
      if ((byte & 0x80) == 0) {
        if (shift < 64 && (byte & 0x40) != 0) {
          value |= ~u64{0} << shift;
        }
        break;
      }
    }
    return static_cast<i64>(value);
  }

  // A pointer in one of the DW_EH_PE_* encodings (LSB 5.0 Core, 10.5.1). `data_base` is what
  // datarel counts from. DW_EH_PE_indirect is not followed: the address of the pointer is given.
  u64 encoded(u8 encoding, u64 data_base = 0);

 private:
  u64 at_;
  u64 limit_;
  bool ok_ = true;
};

// Size in bytes of a fixed-size encoding, 0 for LEB128 and unknown ones.
unsigned encoded_size(u8 encoding);

}  // namespace selfheal::image
