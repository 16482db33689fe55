// Compiled functions, run natively first and then as regions: same results, same memory.
#include <algorithm>
#include <catch2/catch.hpp>
#include <csetjmp>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;
using host::session;

extern "C" {
u64 guest_empty();
u64 guest_collatz(u64);
u64 guest_fibonacci(u64);
u64 guest_sha_like(u8*, u64);
double guest_floats(double, u64);
u64 guest_sort(int*, u64);
u64 guest_print(char*, u64, double, const char*);
double guest_strtod(const char*);
u64 guest_strings(char*, const char*);
u64 guest_longjmp_inside(u64);
u64 guest_longjmp_outside(u64*);
u64 guest_throw_inside(u64);
u64 guest_throw_outside(u64);
u64 guest_vectors(u32*, const u32*, u64);
u64 guest_containers(u64);
u64 guest_atomics(u64*);
u64 guest_call(u64 (*)(u64), u64);
extern std::jmp_buf guest_outer;
}

namespace {

void returned() {
  INFO("reason: " << (session.outcome.reason != nullptr ? session.outcome.reason : "-"));
  INFO("guest rip: " << std::hex << session.guest.rip);
  REQUIRE(static_cast<int>(session.outcome.stop) == static_cast<int>(Stop::returned));
}

std::vector<u8> pattern(u64 size) {
  std::vector<u8> v(size);
  for (u64 i = 0; i < size; ++i) {
    v[i] = static_cast<u8>(i * 37 + i / 11);
  }
  return v;
}

}  // namespace

TEST_CASE("an empty function returns through the engine") {
  host::start();
  REQUIRE(host::call(guest_empty) == 42);
  returned();
  REQUIRE(session.outcome.instructions >= 2);
}

TEST_CASE("loops and recursion compute what they do natively") {
  host::start();
  REQUIRE(host::call(guest_collatz, u64{27}) == guest_collatz(27));
  returned();
  REQUIRE(host::call(guest_fibonacci, u64{15}) == guest_fibonacci(15));
  returned();
}

TEST_CASE("a hash loop leaves the same bytes") {
  host::start();
  auto native = pattern(4096);
  auto region = pattern(4096);
  const u64 expected = guest_sha_like(native.data(), native.size());
  REQUIRE(host::call(guest_sha_like, region.data(), u64{4096}) == expected);
  returned();
  REQUIRE(native == region);
}

TEST_CASE("floating point is bit-exact") {
  host::start();
  const double expected = guest_floats(3.25, 1000);
  const double got = host::call(guest_floats, 3.25, u64{1000});
  returned();
  REQUIRE(std::memcmp(&expected, &got, sizeof got) == 0);
}

TEST_CASE("vector loops compute what they do natively") {
  host::start();
  std::vector<u32> a(1003);
  std::vector<u32> b(1003);
  for (u32 i = 0; i < a.size(); ++i) {
    a[i] = i * 2654435761U;
    b[i] = i * 40503U;
  }
  auto a2 = a;
  const u64 expected = guest_vectors(a.data(), b.data(), a.size());
  REQUIRE(host::call(guest_vectors, a2.data(), static_cast<const u32*>(b.data()), u64{1003}) ==
          expected);
  returned();
  REQUIRE(a == a2);
}

TEST_CASE("qsort with a callback and std::sort work") {
  host::start();
  std::vector<int> a(500);
  for (unsigned i = 0; i < a.size(); ++i) {
    a[i] = static_cast<int>(i * 7919 % 503);
  }
  auto b = a;
  guest_sort(a.data(), a.size());
  host::call(guest_sort, b.data(), u64{500});
  returned();
  REQUIRE(a == b);
}

TEST_CASE("snprintf, with long double inside, gives the same text") {
  host::start();
  char a[300];
  char b[300];
  const u64 n = guest_print(a, sizeof a, 1.0 / 3, "hello");
  REQUIRE(host::call(guest_print, &b[0], u64{300}, 1.0 / 3, static_cast<const char*>("hello")) ==
          n);
  returned();
  REQUIRE(std::string(a) == b);
}

TEST_CASE("strtod gives the same bits") {
  host::start();
  for (const char* text : {"3.14159265358979", "1e-310", "-123456789.123456789e200", "0x1.8p3"}) {
    const double a = guest_strtod(text);
    const double b = host::call(guest_strtod, text);
    returned();
    REQUIRE(std::memcmp(&a, &b, sizeof a) == 0);
  }
}

TEST_CASE("string functions picked for this processor work") {
  host::start();
  for (unsigned length = 40; length < 2000; length += 97) {
    std::string text(length, 'q');
    text += "e needle ";
    std::vector<char> a(10000);
    std::vector<char> b(10000);
    const u64 n = guest_strings(a.data(), text.c_str());
    REQUIRE(host::call(guest_strings, b.data(), text.c_str()) == n);
    returned();
    REQUIRE(a == b);
  }
}

TEST_CASE("setjmp and longjmp inside a region stay inside") {
  host::start();
  REQUIRE(host::call(guest_longjmp_inside, u64{5}) == guest_longjmp_inside(5));
  returned();
}

TEST_CASE("longjmp out of a region leaves it, and what it wrote stays") {
  host::start();
  u64 changed = 0;
  if (setjmp(guest_outer) == 0) {
    host::call(guest_longjmp_outside, &changed);
    FAIL("came back");
  }
  REQUIRE(static_cast<int>(session.outcome.stop) == static_cast<int>(Stop::left));
  REQUIRE(changed == 99);
}

TEST_CASE("an exception thrown and caught inside a region") {
  host::start();
  REQUIRE(host::call(guest_throw_inside, u64{4}) == guest_throw_inside(4));
  returned();
}

TEST_CASE("an exception thrown out of a region reaches its handler") {
  host::start();
  REQUIRE_THROWS_AS(host::call(guest_throw_outside, u64{4}), std::runtime_error);
  REQUIRE(static_cast<int>(session.outcome.stop) == static_cast<int>(Stop::left));
}

TEST_CASE("containers and the allocator work") {
  host::start();
  REQUIRE(host::call(guest_containers, u64{200}) == guest_containers(200));
  returned();
}

TEST_CASE("atomic operations give the same words and can be taken back") {
  host::start();
  const std::vector<u64> before{1, 2, 0xffff, 4, 5, 6, 0x700};
  auto a = before;
  auto b = before;
  const u64 expected = guest_atomics(a.data());
  REQUIRE(host::call(guest_atomics, b.data()) == expected);
  returned();
  REQUIRE(a == b);
  auto c = before;
  session.roll_back_always = true;
  session.virtual_value = 9;
  const u64 virtual_value = host::call(guest_atomics, c.data());
  session.roll_back_always = false;
  REQUIRE(virtual_value == 9);
  REQUIRE(c == before);
}

static u64 in_our_own_text(u64 x) {
  return x * 2;
}

TEST_CASE("a call into the engine's own module is made natively") {
  host::start();
  REQUIRE(host::call(guest_call, &in_our_own_text, u64{20}) == 41);
  returned();
}
