// A short piece of machine code, held in place: the generator makes millions of them.
#pragma once

#include <array>
#include <cstring>
#include <initializer_list>
#include <span>

#include "lib/base/types.h"

namespace selfheal::differential {

class Code {
 public:
  static constexpr u64 capacity = 160;

  Code() = default;
  Code(std::initializer_list<u8> bytes) {
    for (const u8 b : bytes) {
      push_back(b);
    }
  }

  // What does not fit is dropped: nothing the generator makes comes near.
  void push_back(u8 byte) {
    if (size_ < capacity) {
      bytes_[size_++] = byte;
    }
  }
  void append(std::span<const u8> code) {
    for (const u8 b : code) {
      push_back(b);
    }
  }
  void resize(u64 size) { size_ = size < capacity ? size : capacity; }

  u64 size() const { return size_; }
  u8* data() { return bytes_.data(); }
  const u8* data() const { return bytes_.data(); }
  u8& operator[](u64 i) { return bytes_[i]; }
  std::span<const u8> from(u64 offset) const { return {bytes_.data() + offset, size_ - offset}; }
  std::span<const u8> all() const { return from(0); }

 private:
  std::array<u8, capacity> bytes_{};
  u64 size_ = 0;
};

}  // namespace selfheal::differential
