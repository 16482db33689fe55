// Functions that the tests run as regions. A shared library of its own, so that it is not the
// engine's text; ordinary compiled code on purpose.
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

extern "C" {

u64 guest_empty() {
  return 42;
}

u64 guest_collatz(u64 n) {
  u64 steps = 0;
  while (n != 1) {
    n = (n & 1) != 0 ? 3 * n + 1 : n / 2;
    ++steps;
  }
  return steps;
}

u64 guest_fibonacci(u64 n) {
  return n < 2 ? n : guest_fibonacci(n - 1) + guest_fibonacci(n - 2);
}

// The compression function of SHA-256, the rotates and adds of it.
u64 guest_sha_like(u8* data, u64 size) {
  std::array<u32, 8> h{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto ror = [](u32 x, unsigned n) { return x >> n | x << (32 - n); };
  for (u64 i = 0; i + 4 <= size; i += 4) {
    u32 w;
    std::memcpy(&w, data + i, 4);
    w = __builtin_bswap32(w);
    const u32 s1 = ror(h[4], 6) ^ ror(h[4], 11) ^ ror(h[4], 25);
    const u32 t1 = h[7] + s1 + ((h[4] & h[5]) ^ (~h[4] & h[6])) + w;
    const u32 s0 = ror(h[0], 2) ^ ror(h[0], 13) ^ ror(h[0], 22);
    const u32 t2 = s0 + ((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]));
    h = {t1 + t2, h[0], h[1], h[2], h[3] + t1, h[4], h[5], h[6]};
    std::memcpy(data + i, &h[0], 4);
  }
  u64 r = 0;
  for (const u32 x : h) {
    r = r * 31 + x;
  }
  return r;
}

double guest_floats(double x, u64 n) {
  double sum = 0;
  for (u64 i = 1; i <= n; ++i) {
    sum += x / static_cast<double>(i * i) - static_cast<double>(static_cast<float>(i));
  }
  return sum;
}

static int compare(const void* a, const void* b) {
  const int x = *static_cast<const int*>(a);
  const int y = *static_cast<const int*>(b);
  return x < y ? -1 : x > y;
}

u64 guest_sort(int* values, u64 n) {
  std::qsort(values, n, sizeof *values, compare);
  std::sort(values, values + n / 2, [](int a, int b) { return a > b; });
  return n;
}

u64 guest_print(char* to, u64 size, double d, const char* text) {
  return static_cast<u64>(std::snprintf(to, size, "%s %.17g %d %08lx %a", text, d,
                                        static_cast<int>(size), size * 7777777, d));
}

double guest_strtod(const char* text) {
  return std::strtod(text, nullptr);
}

u64 guest_strings(char* a, const char* b) {
  std::strcpy(a, b);
  std::strcat(a, b);
  u64 r = std::strlen(a);
  r = r * 31 + static_cast<u64>(std::strcmp(a, b) > 0);
  r = r * 31 + (std::strchr(a, 'x') != nullptr ? 1 : 0);
  r = r * 31 + (std::strstr(a, "needle") != nullptr ? 1 : 0);
  r = r * 31 + static_cast<u64>(std::strrchr(a, 'e') - a);
  std::memmove(a + 1, a, r % 64);
  r = r * 31 + static_cast<u64>(std::memcmp(a, b, 40) != 0);
  std::memset(a + 3, 'z', 37);
  return r;
}

static std::jmp_buf inner;

[[noreturn]] static void jump(int value) {
  std::longjmp(inner, value);
}

u64 guest_longjmp_inside(u64 n) {
  volatile u64 count = 0;
  const int value = setjmp(inner);
  if (value < static_cast<int>(n)) {
    count = count + 1;
    jump(value + 1);
  }
  return count;
}

std::jmp_buf guest_outer;

u64 guest_longjmp_outside(u64* changed) {
  *changed = 99;
  std::longjmp(guest_outer, 5);
}

__attribute__((noinline)) static void thrower(u64 n) {
  if (n == 0) {
    throw std::runtime_error("from the depth");
  }
  std::string keep = std::to_string(n);
  thrower(n - 1);
  std::fputs(keep.c_str(), stderr);
}

u64 guest_throw_inside(u64 depth) {
  try {
    thrower(depth);
  } catch (const std::runtime_error& e) {
    return std::strlen(e.what());
  }
  return 0;
}

u64 guest_throw_outside(u64 depth) {
  thrower(depth);
  return 0;
}

u64 guest_vectors(u32* a, const u32* b, u64 n) {
  for (u64 i = 0; i < n; ++i) {
    a[i] = a[i] * 3 + (b[i] ^ (a[i] >> 5));
  }
  u64 sum = 0;
  for (u64 i = 0; i < n; ++i) {
    sum += a[i];
  }
  return sum;
}

u64 guest_containers(u64 n) {
  std::vector<std::string> v;
  for (u64 i = 0; i < n; ++i) {
    v.push_back(std::to_string(i * 7919 % 1000));
  }
  std::sort(v.begin(), v.end());
  u64 r = 0;
  for (const auto& s : v) {
    r = r * 131 + static_cast<u64>(s.size()) + static_cast<u64>(s[0]);
  }
  return r;
}

u64 guest_atomics(u64* words) {
  __atomic_fetch_add(&words[0], 5, __ATOMIC_SEQ_CST);
  __atomic_fetch_or(&words[1], 0xf0, __ATOMIC_SEQ_CST);
  __atomic_fetch_and(&words[2], 0xff, __ATOMIC_SEQ_CST);
  u64 r = __atomic_exchange_n(&words[3], 77, __ATOMIC_SEQ_CST);
  u64 expected = words[4];
  r += __atomic_compare_exchange_n(&words[4], &expected, 123, false, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST)
           ? 1
           : 0;
  r += __atomic_fetch_xor(&words[5], 0x55, __ATOMIC_SEQ_CST);
  __atomic_fetch_sub(reinterpret_cast<u8*>(&words[6]), 1, __ATOMIC_SEQ_CST);
  return r;
}

u64 guest_write_then_null(u64* words, u64 n) {
  for (u64 i = 0; i < n; ++i) {
    words[i] = words[i] * 3 + i;
  }
  volatile u64* nothing = nullptr;
  asm("" : "+r"(nothing));
  return nothing[2];
}

u64 guest_write_then_wild(u8* bytes, u64 size, u64 wild) {
  std::memset(bytes, 0x5a, size);
  *reinterpret_cast<volatile u32*>(wild) = 1;
  return 1;
}

u64 guest_divide(u64* words, u64 a, u64 b) {
  words[0] = 7;
  return a / b;
}

u64 guest_call_null(u64* words) {
  words[0] = 8;
  void (*f)() = nullptr;
  asm("" : "+r"(f));
  f();
  return 1;
}

u64 guest_smash(u64 value) {
  u64* frame = static_cast<u64*>(__builtin_frame_address(0));
  asm("" : "+r"(frame));
  frame[1] = value;
  return 1;
}

u64 guest_spin() {
  for (;;) {
    asm volatile("");
  }
}

u64 guest_call(u64 (*f)(u64), u64 x) {
  return f(x) + 1;
}

u64 guest_fill(u64* words, u64 n) {
  for (u64 i = 0; i < n; ++i) {
    words[i] = i;
    asm volatile("" ::: "memory");
  }
  return n;
}

}  // extern "C"
