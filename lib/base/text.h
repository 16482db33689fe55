// Text into a fixed buffer: no allocation, no lock, no locale; cut at the end, always
// NUL-terminated. Safe in a signal handler. For formatted reports see lib/report.
#pragma once

#include "lib/base/types.h"

namespace selfheal {

class Text {
 public:
  Text(char* buffer, u64 capacity) : buffer_(buffer), capacity_(capacity) { buffer_[0] = '\0'; }

  Text& operator<<(const char* s);
  Text& operator<<(char c);
  Text& decimal(u64 value);
  Text& signed_decimal(i64 value);
  Text& hex(u64 value, unsigned digits = 0);  // without 0x; padded with zeros to `digits`
  Text& bytes(const u8* data, u64 size);      // "4889e5"

  const char* c_str() const { return buffer_; }
  u64 size() const { return size_; }
  bool cut() const { return cut_; }
  void clear();

 private:
  char* buffer_;
  u64 capacity_;
  u64 size_ = 0;
  bool cut_ = false;
};

}  // namespace selfheal
