// Copying memory without libc, whose memcpy would use the guest's vector registers. Both orders of
// faulting are the processor's: everything before the faulting byte or word has been copied.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

// The compiler must neither move accesses across this point nor turn loops into calls of memcpy.
inline void compiler_barrier() {
  asm volatile("" ::: "memory");
}

inline void copy_bytes(u64 to, u64 from, u64 size) {
  // Below about 100 bytes the microcode start of `rep movsb` costs more than a loop of words.
  if (size <= 96) {
    for (; size >= 8; size -= 8, to += 8, from += 8) {
      u64 word;
      __builtin_memcpy(&word, pointer_to<const void>(from), 8);
      __builtin_memcpy(pointer_to<void>(to), &word, 8);
      compiler_barrier();
    }
    for (; size != 0; --size, ++to, ++from) {
      *pointer_to<u8>(to) = *pointer_to<const u8>(from);
      compiler_barrier();
    }
    return;
  }
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

// One store for the sizes the processor stores at once, so that other threads never see halves.
inline void restore_bytes(u64 to, u64 from, u64 size) {
  switch (size) {
    case 1:
      *pointer_to<volatile u8>(to) = *pointer_to<const u8>(from);
      return;
    case 2:
      *pointer_to<volatile u16>(to) = *pointer_to<const u16>(from);
      return;
    case 4:
      *pointer_to<volatile u32>(to) = *pointer_to<const u32>(from);
      return;
    case 8:
      *pointer_to<volatile u64>(to) = *pointer_to<const u64>(from);
      return;
    default:
      copy_bytes(to, from, size);
  }
}

inline void zero_bytes(u64 to, u64 size) {
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

}  // namespace selfheal::emulator
