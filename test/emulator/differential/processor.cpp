#include "test/emulator/differential/processor.h"

#include <cpuid.h>

namespace selfheal::differential {

u64 enabled_components() {
  u32 low;
  u32 high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low & vector_components;
}

bool has(const Feature& feature) {
  u32 r[4];
  if (__get_cpuid_count(feature.leaf, feature.subleaf, &r[0], &r[1], &r[2], &r[3]) == 0) {
    return false;
  }
  const bool told = (r[static_cast<unsigned>(feature.where)] >> feature.bit & 1) != 0;
  return told && (enabled_components() & feature.components) == feature.components;
}

}  // namespace selfheal::differential
