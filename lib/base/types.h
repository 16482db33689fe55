// The integer names used everywhere, and the two conversions a runtime on raw addresses cannot
// avoid.
#pragma once

#include <cstddef>
#include <cstdint>

namespace selfheal {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline u64 address_of(const volatile void* p) {
  return reinterpret_cast<u64>(p);
}

template <typename T>
T* pointer_to(u64 address) {
  return reinterpret_cast<T*>(address);
}

template <typename Function>
u64 address_of_function(Function* f) {
  return reinterpret_cast<u64>(f);
}

inline constexpr u64 page_size = 4096;
inline constexpr u64 page_down(u64 a) {
  return a & ~(page_size - 1);
}
inline constexpr u64 page_up(u64 a) {
  return (a + page_size - 1) & ~(page_size - 1);
}

}  // namespace selfheal
