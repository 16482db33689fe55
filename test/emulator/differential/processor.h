// What the processor at hand has. What it has not is undefined on it: there is nothing to compare
// but that fault.
#pragma once

#include "lib/base/types.h"

namespace selfheal::differential {

// Of XSAVE: all that a State holds, and what of it is enabled here. XRSTOR faults on an image that
// claims more than that.
inline constexpr u64 vector_components = 0xe7;
u64 enabled_components();

enum class CpuidRegister : u8 { eax, ebx, ecx, edx };

// A bit that CPUID tells, and the components that must be enabled besides.
struct Feature {
  const char* name;
  u32 leaf;
  u32 subleaf;
  CpuidRegister where;
  unsigned bit;
  u64 components;
};

inline constexpr u64 ymm_state = 0x06;
inline constexpr u64 zmm_state = 0xe6;

inline constexpr Feature avx{"AVX", 1, 0, CpuidRegister::ecx, 28, ymm_state};
inline constexpr Feature avx2{"AVX2", 7, 0, CpuidRegister::ebx, 5, ymm_state};
inline constexpr Feature avx512f{"AVX-512F", 7, 0, CpuidRegister::ebx, 16, zmm_state};
inline constexpr Feature avx512bw{"AVX-512BW", 7, 0, CpuidRegister::ebx, 30, zmm_state};
inline constexpr Feature avx512vl{"AVX-512VL", 7, 0, CpuidRegister::ebx, 31, zmm_state};
inline constexpr Feature avx512vbmi2{"AVX-512VBMI2", 7, 0, CpuidRegister::ecx, 6, zmm_state};
inline constexpr Feature movdir64b{"MOVDIR64B", 7, 0, CpuidRegister::ecx, 28, 0};
inline constexpr Feature xsaveopt{"XSAVEOPT", 0xd, 1, CpuidRegister::eax, 0, 0};
inline constexpr Feature xsavec{"XSAVEC", 0xd, 1, CpuidRegister::eax, 1, 0};
inline constexpr Feature clzero{"CLZERO", 0x80000008, 0, CpuidRegister::ebx, 0, 0};

bool has(const Feature& feature);

}  // namespace selfheal::differential
