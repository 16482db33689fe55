#include <catch2/catch.hpp>
#include <random>
#include <string.h>
#include <string>

#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

// The same memory twice: one for the real function, one for the modelled.
struct Twins {
  Pages native{3};
  Pages guest{3};

  explicit Twins(std::mt19937_64& random) {
    for (u64 i = 0; i < native.size(); ++i) {
      native.data()[i] = guest.data()[i] = static_cast<u8>(random() % 4 == 0 ? 0 : random());
    }
  }
};

using NativeFunction = u64 (*)(u64, u64, u64, u64);

}  // namespace

TEST_CASE("Functions that write memory do what libc's do, and a rollback takes it back") {
  use_own_libc();
  const u64 seed = random_seed();
  INFO("SELFHEAL_SEED=" << seed);
  std::mt19937_64 random(seed);
  GuestThread guest;
  const char* name = GENERATE("memcpy", "memmove", "mempcpy", "memset", "strncpy", "stpncpy",
                              "strcpy", "stpcpy", "strcat", "strncat", "bzero", "explicit_bzero",
                              "__memcpy_chk", "__memset_chk", "__strcpy_chk", "__strcat_chk");
  const auto function = reinterpret_cast<NativeFunction>(dlsym(RTLD_DEFAULT, name));
  REQUIRE(function != nullptr);
  const bool size_is_second = strstr(name, "bzero") != nullptr;
  const bool sets = strstr(name, "memset") != nullptr;
  for (int round = 0; round < 100; ++round) {
    Twins memory(random);
    const std::vector<u8> before = memory.guest.copy();
    const u64 size = random() % 3000;
    const u64 to = random() % 3000;
    const u64 from = 6000 + random() % 3000;
    const auto arguments = [&](Pages& pages, u64(&list)[4]) {
      list[0] = pages.address() + to;
      list[1] = size_is_second ? size : sets ? random() % 256 : pages.address() + from;
      list[2] = strstr(name, "str") != nullptr && strstr(name, "_chk") != nullptr ? 6000 : size;
      list[3] = 6000;
    };
    u64 a[4];
    arguments(memory.native, a);
    const u64 expected = function(a[0], a[1], a[2], a[3]);
    u64 b[4];
    arguments(memory.guest, b);
    if (sets) {
      b[1] = a[1];
    }
    const u64 got = call(guest, name, b[0], b[1], b[2], b[3]);
    if (!size_is_second) {  // those return nothing
      CHECK(got - memory.guest.address() == expected - memory.native.address());
    }
    REQUIRE(memory.guest.copy() == memory.native.copy());
    REQUIRE(guest.log().rollback().failed == 0);
    REQUIRE(memory.guest.copy() == before);
  }
}

TEST_CASE("Functions that read memory say what libc's say and log nothing") {
  use_own_libc();
  GuestThread guest;
  const char text[] = "the quick brown fox";
  const char other[] = "the quick brown dog";
  CHECK(call(guest, "strlen", text) == strlen(text));
  CHECK(call(guest, "strnlen", text, u64{4}) == 4);
  CHECK(call_for<const char>(guest, "strchr", text, u64{'q'}) == text + 4);
  CHECK(call_for<const char>(guest, "strrchr", text, u64{'o'}) == text + 17);
  CHECK(call_for<const char>(guest, "strstr", text, other + 4) == nullptr);
  CHECK(call_for<const char>(guest, "memchr", text, u64{'b'}, u64{5}) == nullptr);
  CHECK(call(guest, "strspn", text, "eht") == 3);
  CHECK(call(guest, "strcspn", text, " ") == 3);
  CHECK(static_cast<int>(call(guest, "memcmp", text, other, u64{16})) == 0);
  CHECK(static_cast<int>(call(guest, "strcmp", text, other)) > 0);
  CHECK(static_cast<int>(call(guest, "strncasecmp", "ABC", "abd", u64{2})) == 0);
  CHECK(guest.log().empty());
}

TEST_CASE("A function that would fault is declined with memory as it was") {
  use_own_libc();
  GuestThread guest;
  Pages memory(2);
  REQUIRE(mprotect(memory.data() + page_size, page_size, PROT_NONE) == 0);
  u8* last = memory.data() + page_size - 8;
  memcpy(last, "abc", 4);
  const u64 nowhere = 0x10;

  SECTION("a null destination") {
    CHECK(try_call(guest, "memcpy", nowhere, last, u64{4}) == EffectResult::interpret);
  }
  SECTION("a bad source") {
    CHECK(try_call(guest, "memcpy", last, nowhere, u64{4}) == EffectResult::interpret);
    CHECK(try_call(guest, "strlen", nowhere) == EffectResult::interpret);
  }
  SECTION("a destination too short for a string to append") {
    CHECK(try_call(guest, "strcat", last, "defghijkl") == EffectResult::interpret);
    CHECK(strcmp(reinterpret_cast<char*>(last), "abc") == 0);
  }
  SECTION("a source that ends in nothing, after some was copied over the destination") {
    Pages target(3);
    memset(target.data(), 'x', target.size());
    const std::vector<u8> before = target.copy();
    CHECK(try_call(guest, "memcpy", target.address(), memory.address(), u64{2 * page_size}) ==
          EffectResult::interpret);
    CHECK(target.copy() == before);
  }
  SECTION("a read-only destination") {
    REQUIRE(mprotect(memory.data(), page_size, PROT_READ) == 0);
    CHECK(try_call(guest, "memset", last, u64{1}, u64{4}) == EffectResult::interpret);
  }
  CHECK(guest.log().empty());
  CHECK(guest->state == ThreadState::running);
}

TEST_CASE("A failing fortify check is left to the function's own code") {
  use_own_libc();
  GuestThread guest;
  char small[8] = "abcdefg";
  CHECK(try_call(guest, "__memcpy_chk", small, "0123456789", u64{10}, u64{8}) ==
        EffectResult::interpret);
  CHECK(try_call(guest, "__strcpy_chk", small, "01234567", u64{8}) == EffectResult::interpret);
  CHECK(try_call(guest, "__strcat_chk", small, "h", u64{8}) == EffectResult::interpret);
  CHECK(strcmp(small, "abcdefg") == 0);
}

TEST_CASE("A copy larger than the log is refused before anything is written") {
  use_own_libc();
  GuestThread guest(16 * page_size);
  Pages memory(32);
  CHECK(try_call(guest, "memset", memory.address(), u64{1}, memory.size()) ==
        EffectResult::log_full);
  CHECK(memory.data()[0] == 0);
}
