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

template <typename T>
inline void copy_one(u64 to, u64 from) {
  T value;
  __builtin_memcpy(&value, pointer_to<const void>(from), sizeof(T));
  asm volatile("mov %1, %0" : "=m"(*pointer_to<T>(to)) : "r"(value) : "memory");
}

// One store for the sizes the processor stores at once, and for every aligned word of larger ones:
// other threads never see halves.
inline void restore_bytes(u64 to, u64 from, u64 size) {
  switch (size) {
    case 1:
      return copy_one<u8>(to, from);
    case 2:
      return copy_one<u16>(to, from);
    case 4:
      return copy_one<u32>(to, from);
    case 8:
      return copy_one<u64>(to, from);
    default:
      break;
  }
  const auto step = [&]<typename T>(T) {
    copy_one<T>(to, from);
    to += sizeof(T);
    from += sizeof(T);
    size -= sizeof(T);
  };
  if ((to & 1) != 0 && size >= 1) {
    step(u8{});
  }
  if ((to & 2) != 0 && size >= 2) {
    step(u16{});
  }
  if ((to & 4) != 0 && size >= 4) {
    step(u32{});
  }
  while (size >= 8) {
    step(u64{});
  }
  if (size >= 4) {
    step(u32{});
  }
  if (size >= 2) {
    step(u16{});
  }
  if (size >= 1) {
    step(u8{});
  }
}

inline void zero_bytes(u64 to, u64 size) {
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

}  // namespace selfheal::emulator
