// Machine code that a case makes itself.
#pragma once

#include <initializer_list>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

namespace hard {

inline constexpr uint64_t page = 4096;

inline uint8_t* map_pages(uint64_t count, int protection = PROT_READ | PROT_WRITE | PROT_EXEC) {
  void* at = mmap(nullptr, count * page, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return static_cast<uint8_t*>(at);
}

inline void write_code(uint8_t* at, std::initializer_list<int> bytes) {
  for (const int byte : bytes) {
    *at++ = static_cast<uint8_t>(byte);
  }
}

// mov $value, %eax; ret
inline void write_return(uint8_t* at, int value) {
  write_code(at, {0xb8, value, 0, 0, 0, 0xc3});
}

inline int call(const uint8_t* code) {
  int (*f)();
  memcpy(&f, &code, sizeof f);
  return f();
}

}  // namespace hard
