#include <catch2/catch.hpp>
#include <errno.h>
#include <malloc.h>
#include <map>
#include <random>
#include <string.h>

#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

u64 bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

TEST_CASE("What was allocated in a region is freed by its rollback") {
  use_own_libc();
  GuestThread guest;
  const auto allocate = [&] {
    for (u64 size : {u64{1}, u64{100}, u64{5000}, u64{1} << 20}) {
      memset(call_for<void>(guest, "malloc", size), 0x5a, size);
      const u8* zeroed = call_for<u8>(guest, "calloc", u64{3}, size);
      CHECK(zeroed[3 * size - 1] == 0);
      CHECK(call(guest, "memalign", u64{256}, size) % 256 == 0);
      CHECK(call(guest, "aligned_alloc", u64{64}, 64 * size) % 64 == 0);
      void* result = nullptr;
      CHECK(call(guest, "posix_memalign", &result, u64{512}, size) == 0);
      CHECK(address_of(result) % 512 == 0);
    }
  };
  allocate();
  guest.log().rollback();  // the allocator's caches are warm now
  const u64 before = bytes_in_use();
  for (int round = 0; round < 20; ++round) {
    allocate();
    CHECK(bytes_in_use() > before + (u64{5} << 20));
    CHECK(guest.log().rollback().failed == 0);
  }
  // Freed small chunks may sit in the thread's cache, which counts as in use.
  CHECK(bytes_in_use() < before + 100'000);
}

TEST_CASE("A chunk freed in a region lives until commit and survives a rollback") {
  use_own_libc();
  GuestThread guest;
  char* text = static_cast<char*>(malloc(100));
  strcpy(text, "still here");
  call(guest, "free", text);
  CHECK(guest.log().deferred(Deferred::free_memory, address_of(text)));
  CHECK(call_for<char>(guest, "malloc", u64{100}) != text);
  guest.log().rollback();
  CHECK(strcmp(text, "still here") == 0);

  call(guest, "free", text);
  guest.log().commit();
  CHECK(malloc(100) == text);  // the thread's cache gives the newest back first
  free(text);
}

TEST_CASE("A second free of the same chunk goes native, to be seen by the allocator") {
  use_own_libc();
  GuestThread guest;
  void* chunk = malloc(40);
  call(guest, "free", chunk);
  CHECK(try_call(guest, "free", chunk) == EffectResult::unsupported);
  CHECK(try_call(guest, "realloc", chunk, u64{80}) == EffectResult::unsupported);
  CHECK(try_call(guest, "free", address_of(chunk) + 8) == EffectResult::unsupported);
  guest.log().rollback();
  free(chunk);
}

TEST_CASE("A free of a wild pointer is declined, so that it faults as guest code") {
  use_own_libc();
  GuestThread guest;
  CHECK(try_call(guest, "free", u64{0x12340}) == EffectResult::interpret);
  CHECK(try_call(guest, "free", u64{0}) == EffectResult::done);
  CHECK(guest.log().empty());
}

TEST_CASE("realloc keeps contents, and a rollback keeps the old chunk") {
  use_own_libc();
  GuestThread guest;
  char* old = static_cast<char*>(malloc(32));
  strcpy(old, "contents");
  char* grown = call_for<char>(guest, "realloc", old, u64{5000});
  REQUIRE(grown != old);
  CHECK(strcmp(grown, "contents") == 0);
  CHECK(malloc_usable_size(grown) >= 5000);
  strcpy(grown, "changed");
  char* shrunk = call_for<char>(guest, "realloc", grown, u64{16});
  CHECK(strcmp(shrunk, "changed") == 0);
  CHECK(call(guest, "realloc", shrunk, u64{0}) == 0);
  guest.log().rollback();
  CHECK(strcmp(old, "contents") == 0);
  CHECK(malloc_usable_size(old) >= 32);
  free(old);
}

TEST_CASE("A buffer that grows byte by byte does not cost the sum of its sizes") {
  use_own_libc();
  GuestThread guest;
  const u64 before = bytes_in_use();
  char* buffer = nullptr;
  constexpr u64 final_size = 200'000;
  for (u64 size = 1; size <= final_size; ++size) {
    buffer = call_for<char>(guest, "realloc", buffer, size);
    buffer[size - 1] = 'x';
  }
  CHECK(bytes_in_use() - before < 8 * final_size);
  guest.log().commit();
  CHECK(bytes_in_use() - before < 3 * final_size);
  free(buffer);
}

TEST_CASE("Memory held back for commit is bounded") {
  use_own_libc();
  GuestThread guest;
  EffectResult result = EffectResult::done;
  int rounds = 0;
  while (result == EffectResult::done && rounds < 100) {
    result = try_call(guest, "free", call(guest, "malloc", u64{16} << 20));
    ++rounds;
  }
  CHECK(result == EffectResult::log_full);
  CHECK(rounds == 16);
  guest.log().rollback();
}

TEST_CASE("errno set by a failing allocation goes back") {
  use_own_libc();
  GuestThread guest;
  errno = EDOM;
  CHECK(call(guest, "malloc", u64{1} << 62) == 0);
  CHECK(errno == ENOMEM);
  guest.log().rollback();
  CHECK(errno == EDOM);
  CHECK(try_call(guest, "reallocarray", u64{0}, u64{1} << 40, u64{1} << 40) ==
        EffectResult::interpret);
}

TEST_CASE("Random heap traffic in regions, some rolled back, matches a model of contents") {
  use_own_libc();
  const u64 seed = random_seed();
  INFO("SELFHEAL_SEED=" << seed);
  std::mt19937_64 random(seed);
  GuestThread guest;
  using Heap = std::map<u64, std::vector<u8>>;  // address: contents
  Heap heap;
  for (int region = 0; region < 40; ++region) {
    Heap inside = heap;
    for (int step = 0; step < 60; ++step) {
      const u64 size = 1 + random() % 3000;
      const unsigned kind = random() % 4;
      if (kind < 2 || inside.empty()) {
        u8* chunk = call_for<u8>(guest, "malloc", size);
        REQUIRE(inside.count(address_of(chunk)) == 0);
        REQUIRE(guest.log().save(address_of(chunk), size));
        memset(chunk, static_cast<int>(size), size);
        inside[address_of(chunk)] = std::vector<u8>(size, static_cast<u8>(size));
        continue;
      }
      auto chosen = std::next(inside.begin(), static_cast<long>(random() % inside.size()));
      if (kind == 2) {
        call(guest, "free", chosen->first);
      } else {
        const u64 moved = call(guest, "realloc", chosen->first, size);
        std::vector<u8> contents = chosen->second;
        contents.resize(std::min<u64>(size, contents.size()));
        inside.erase(chosen);
        inside[moved] = contents;
        continue;
      }
      inside.erase(chosen);
    }
    if (random() % 2 == 0) {
      REQUIRE(guest.log().rollback().failed == 0);
    } else {
      guest.log().commit();
      heap = inside;
    }
    for (const auto& [address, contents] : heap) {
      REQUIRE(memcmp(pointer_to<void>(address), contents.data(), contents.size()) == 0);
    }
  }
  for (const auto& [address, contents] : heap) {
    free(pointer_to<void>(address));
  }
}
