// memcpy and its kin for clang, which calls them where g++ copies a struct in line.
//
// libc's versions use the vector registers up to zmm31, and the engine and the region entry run
// while those hold the guest's values. These are hidden, so that they are ours alone: what else is
// linked into the same file (the rest of libselfheal.so, a test) uses them, too, and the program
// does not.
#include <cstddef>

extern "C" {

__attribute__((visibility("hidden"))) void* memcpy(void* to, const void* from, std::size_t size) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}

__attribute__((visibility("hidden"))) void* memset(void* to, int value, std::size_t size) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return result;
}

}  // extern "C"
