// Machine code into a fixed buffer that will be executed at `address`. Too much sets `overflow` and
// writes nothing more.
#pragma once

#include "lib/base/types.h"

namespace selfheal::patch {

class Emitter {
 public:
  Emitter(u8* code, unsigned capacity, u64 address)
      : code_(code), capacity_(capacity), address_(address) {}

  void byte(u8 value) {
    if (size_ == capacity_) {
      overflow_ = true;
      return;
    }
    code_[size_++] = value;
  }
  void bytes(const u8* values, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      byte(values[i]);
    }
  }
  void number(u64 value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) {
      byte(static_cast<u8>(value >> (8 * i)));
    }
  }

  void jump(u64 target);                   // jmp, however far
  void jump_if(u8 condition, u64 target);  // jcc; `condition` as in the opcode's low four bits
  void push(u64 value);                    // a full 64-bit constant; flags stay

  u64 here() const { return address_ + size_; }
  unsigned size() const { return size_; }
  bool overflow() const { return overflow_; }
  u8* code() const { return code_; }

 private:
  u8* code_;
  unsigned capacity_;
  u64 address_;
  unsigned size_ = 0;
  bool overflow_ = false;
};

}  // namespace selfheal::patch
