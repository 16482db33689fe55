// Cells, the way through them, and the patcher's bookkeeping about them.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <thread>

#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

namespace {

// What enter_probe.S fills in.
struct Probe {
  u64 gpr[16];
  u64 caller_rsp;
  u64 flags_wanted;
  u64 flags;
  u64 return_address;
  u64 unused[4];
  u64 xmm_wanted[2];
  u64 xmm0[2];
  u64 xmm15[2];
};
static_assert(offsetof(Probe, caller_rsp) == 128 && offsetof(Probe, xmm_wanted) == 192);

extern "C" void selfheal_test_probe(u64 function, Probe* seen);
extern "C" void selfheal_test_body();

constexpr u64 arithmetic_flags = 0x8d5;  // CF PF AF ZF SF OF
constexpr u64 direction_flag = 0x400;

Function whole_function(u64 entry, u64 size) {
  Function function;
  function.code = {entry, pointer_to<const u8>(entry), size};
  return function;
}

// mov $value,%eax; ret
std::vector<u8> returning(u8 value) {
  return {0xb8, value, 0, 0, 0, 0xc3};
}

int call(u64 entry) {
  return reinterpret_cast<int (*)()>(entry)();
}

// Stands for an engine: is entered with [rsp] = index and [rsp+8] = return address, and returns
// 1000 + index to the region's caller.
extern "C" void selfheal_test_engine();
asm(".text\n"
    "selfheal_test_engine:\n"
    "  pop %rax\n"
    "  add $1000, %eax\n"
    "  ret\n");

}  // namespace

TEST_CASE("the native way changes no register, no flag and no stack") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const u64 entry = address_of_function(&selfheal_test_body);
  const Installed installed = patcher.install({.function = whole_function(entry, 5)}, Threads::one);
  REQUIRE(installed.how == How::jump);
  for (const u64 flags : {u64{0}, arithmetic_flags, u64{0x41}, direction_flag, u64{0x895}}) {
    Probe seen = {};
    seen.flags_wanted = flags | 0x202;
    seen.xmm_wanted[0] = 0x1122334455667788;
    seen.xmm_wanted[1] = 0x99aabbccddeeff00;
    selfheal_test_probe(entry, &seen);
    for (unsigned i = 0; i < 16; ++i) {
      INFO("register " << i);
      CHECK(seen.gpr[i] == (i == 4 ? seen.caller_rsp - 8 : 0x1001 + i));
    }
    CHECK((seen.flags & (arithmetic_flags | direction_flag)) == flags);
    CHECK(seen.xmm0[0] == seen.xmm_wanted[0]);
    CHECK(seen.xmm0[1] == seen.xmm_wanted[1]);
    CHECK(seen.xmm15[1] == seen.xmm_wanted[1]);
    CHECK(seen.return_address - address_of_function(&selfheal_test_probe) < 256);
  }
  CHECK(patcher.uninstall(static_cast<u32>(installed.index), Threads::one));
}

TEST_CASE("the native way holds while signals arrive") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  static const Text text(returning(7));
  const Installed installed =
      patcher.install({.function = whole_function(text.entry(), 6)}, Threads::one);
  REQUIRE(installed.how == How::jump);
  // The handler goes the same way itself, on the interrupted stack. The signal is blocked
  // meanwhile: a sender that is faster than we are would otherwise nest handlers until the stack is
  // gone.
  struct sigaction action = {};
  struct sigaction before;
  static std::atomic<int> signals{0};
  action.sa_handler = [](int) { signals += reinterpret_cast<int (*)()>(text.entry())() == 7; };
  sigaction(SIGUSR1, &action, &before);
  std::atomic<bool> stop{false};
  const pthread_t target = pthread_self();
  std::thread sender([&] {
    while (!stop.load()) {
      pthread_kill(target, SIGUSR1);
    }
  });
  u64 wrong = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (signals.load() < 500 && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 1000; ++i) {  // the clock is slower than the way under test
      wrong += call(text.entry()) != 7;
    }
  }
  stop = true;
  sender.join();
  sigaction(SIGUSR1, &before, nullptr);
  CHECK(wrong == 0);
  CHECK(signals.load() >= 500);
  CHECK(patcher.uninstall(static_cast<u32>(installed.index), Threads::one));
}

TEST_CASE("enter_target is asked per thread, and told the region") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const Text first(returning(1));
  const Text second(returning(2));
  const Installed a = patcher.install({.function = whole_function(first.entry(), 6)}, Threads::one);
  const Installed b =
      patcher.install({.function = whole_function(second.entry(), 6)}, Threads::one);
  REQUIRE(a.index == 0);
  REQUIRE(b.index == 1);
  set_enter_target(address_of_function(&selfheal_test_engine));
  CHECK(call(first.entry()) == 1000);
  CHECK(call(second.entry()) == 1001);
  int other_thread = 0;
  std::thread([&] { other_thread = call(second.entry()); }).join();
  CHECK(other_thread == 2);  // has no engine: native
  set_enter_target(address_of_function(&selfheal_enter_native));
  CHECK(call(first.entry()) == 1);
}

TEST_CASE("lookups: by entry, by trap, by address in a cell, original bytes") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  std::vector<u8> code = from_hex("f3 0f 1e fa 55 48 89 e5 31 c0 5d c3");
  const Text text(code);
  const Installed installed =
      patcher.install({.function = whole_function(text.entry(), code.size())}, Threads::one);
  REQUIRE(installed.how == How::jump);
  const u32 index = static_cast<u32>(installed.index);
  const u64 at = text.entry() + 4;
  CHECK(patcher.find(text.entry()) == installed.index);
  CHECK(patcher.find(at) == installed.index);
  CHECK(patcher.find(at + 1) == -1);
  CHECK(patcher.enabled(index));
  CHECK(patcher.entry(index) == text.entry());
  CHECK(patcher.state(index) == PatchState::jump);

  // Original bytes, whole and for every window that cuts the patch.
  CHECK(std::memcmp(text.bytes(), code.data(), code.size()) != 0);
  for (u64 from = 0; from < code.size(); ++from) {
    for (u64 size = 1; size <= code.size() - from; ++size) {
      u8 buffer[32];
      patcher.original_bytes(text.entry() + from, buffer, size);
      REQUIRE(std::memcmp(buffer, code.data() + from, size) == 0);
    }
  }

  const u64 native = patcher.native_path(index);
  CHECK(patcher.original_address(native) == at);
  CHECK(patcher.original_address(native + 1) == at + 1);  // mov, behind the one-byte push
  CHECK(patcher.original_address(native + 4) == at + 4);
  CHECK(patcher.original_address(native + 6) == at + 6);  // the jump back
  CHECK(patcher.original_address(native - native_offset) == at);
  CHECK(patcher.original_address(text.entry()) == text.entry());
  CHECK(patcher.trap_target(at + 1) == native - native_offset);
  CHECK(patcher.trap_target(at + 2) == 0);

  CHECK(patcher.uninstall(index, Threads::one));
  CHECK(patcher.state(index) == PatchState::removed);
  CHECK(patcher.find(text.entry()) == -1);
  CHECK(patcher.trap_target(at + 1) == at);  // a trap that came too late: run the original
  const Installed again =
      patcher.install({.function = whole_function(text.entry(), code.size())}, Threads::one);
  CHECK(again.index == installed.index);
  CHECK(patcher.native_path(index) == native);
  const Installed twice =
      patcher.install({.function = whole_function(text.entry(), code.size())}, Threads::one);
  CHECK(twice.index == installed.index);
}

TEST_CASE("the table holds as many regions as it says, and then refuses") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  std::vector<u8> code;
  for (u32 i = 0; i <= max_regions; ++i) {
    const std::vector<u8> one = {
        0xb8, static_cast<u8>(i), static_cast<u8>(i >> 8), 0, 0, 0xc3, 0x90, 0x90};
    code.insert(code.end(), one.begin(), one.end());
  }
  const Text text(code, 0, page_up(code.size()));
  for (u32 i = 0; i < max_regions; ++i) {
    const Installed installed =
        patcher.install({.function = whole_function(text.entry() + 8 * i, 6)}, Threads::one);
    REQUIRE(installed.index == static_cast<i32>(i));
  }
  const Installed refused = patcher.install(
      {.function = whole_function(text.entry() + 8 * max_regions, 6)}, Threads::one);
  CHECK(refused.index == -1);
  CHECK(refused.refusal == Refusal::table_full);
  for (u32 i = 0; i <= max_regions; ++i) {
    REQUIRE(call(text.entry() + 8 * i) == static_cast<int>(i));
  }
}

TEST_CASE("parent and child patch after a fork without seeing each other's cells") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const Text first(returning(1));
  const Text second(returning(2));
  const Text third(returning(3));
  REQUIRE(patcher.install({.function = whole_function(first.entry(), 6)}, Threads::one).index == 0);
  int to_child[2];
  int to_parent[2];
  REQUIRE(pipe(to_child) == 0);
  REQUIRE(pipe(to_parent) == 0);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    patcher.after_fork_in_child();
    char byte = 0;
    const bool mine =
        patcher.install({.function = whole_function(second.entry(), 6)}, Threads::one).index == 1;
    const bool told = write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 1;
    // By now the parent has installed the third function under the same index.
    set_enter_target(address_of_function(&selfheal_test_engine));
    const bool entered =
        call(first.entry()) == 1000 && call(second.entry()) == 1001 && call(third.entry()) == 3;
    set_enter_target(address_of_function(&selfheal_enter_native));
    _exit(mine && told && entered && call(second.entry()) == 2 ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(read(to_parent[0], &byte, 1) == 1);
  CHECK(patcher.install({.function = whole_function(third.entry(), 6)}, Threads::one).index == 1);
  REQUIRE(write(to_child[1], "x", 1) == 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(call(first.entry()) == 1);
  CHECK(call(second.entry()) == 2);
  CHECK(call(third.entry()) == 3);
  for (const int end : {to_child[0], to_child[1], to_parent[0], to_parent[1]}) {
    close(end);
  }
}
