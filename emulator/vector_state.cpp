#include "emulator/vector_state.h"

#include <cpuid.h>

namespace selfheal::emulator {
namespace {

constexpr u64 x87_state = 1U << 0;
constexpr u64 protection_keys = 1U << 9;

u64 components() {
  u32 low;
  u32 high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((static_cast<u64>(high) << 32) | low) & ~(x87_state | protection_keys);
}

}  // namespace

u64 vector_area_size() {
  u32 a;
  u32 b;
  u32 c;
  u32 d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0 ||
      __get_cpuid_count(0xd, 0, &a, &b, &c, &d) == 0) {
    return 0;
  }
  return (b + 63) & ~u64{63};
}

void save_vectors(u64 area) {
  const u64 mask = components();
  asm volatile("xsave64 (%0)"
               :
               : "r"(area), "a"(static_cast<u32>(mask)), "d"(static_cast<u32>(mask >> 32))
               : "memory");
}

void restore_vectors(u64 area) {
  const u64 mask = components();
  asm volatile("xrstor64 (%0)"
               :
               : "r"(area), "a"(static_cast<u32>(mask)), "d"(static_cast<u32>(mask >> 32))
               : "memory");
}

}  // namespace selfheal::emulator
