#include "lib/base/text.h"

namespace selfheal {

Text& Text::operator<<(char c) {
  if (size_ + 1 >= capacity_) {
    cut_ = true;
    return *this;
  }
  buffer_[size_++] = c;
  buffer_[size_] = '\0';
  return *this;
}

Text& Text::operator<<(const char* s) {
  for (; *s != '\0'; ++s) {
    *this << *s;
  }
  return *this;
}

Text& Text::decimal(u64 value) {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n > 0) {
    *this << digits[--n];
  }
  return *this;
}

Text& Text::signed_decimal(i64 value) {
  if (value < 0) {
    *this << '-';
    return decimal(0 - static_cast<u64>(value));
  }
  return decimal(static_cast<u64>(value));
}

Text& Text::hex(u64 value, unsigned digits) {
  unsigned width = 1;
  while (width < 16 && (value >> (4 * width)) != 0) {
    ++width;
  }
  width = width < digits ? digits : width;
  while (width > 0) {
    --width;
    *this << "0123456789abcdef"[width < 16 ? (value >> (4 * width)) & 15 : 0];
  }
  return *this;
}

Text& Text::bytes(const u8* data, u64 size) {
  for (u64 i = 0; i < size; ++i) {
    hex(data[i], 2);
  }
  return *this;
}

void Text::clear() {
  size_ = 0;
  cut_ = false;
  buffer_[0] = '\0';
}

}  // namespace selfheal
