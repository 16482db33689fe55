// Cells that compare the stack pointer with a thread-local limit (lib/patch/stubs.h).
#include <catch2/catch.hpp>
#include <thread>

#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

// Stands for the runtime: entered with [rsp] = index and [rsp+8] = return address; returns 2000 +
// index to the function's caller.
extern "C" void selfheal_test_refuse();
asm(".text\n"
    "selfheal_test_refuse:\n"
    "  pop %rax\n"
    "  add $2000, %eax\n"
    "  ret\n");

namespace {

thread_local u64 limit = 0;
thread_local void (*refuse_target)() = &selfheal_test_refuse;

i32 offset_of(const void* variable) {
  return static_cast<i32>(address_of(variable) - address_of(__builtin_thread_pointer()));
}

constexpr u64 size = 6;
std::vector<u8> returning_seven() {
  return {0xb8, 7, 0, 0, 0, 0xc3};  // mov $7,%eax; ret
}

RegionSpec spec_of(const Text& text, bool checked) {
  RegionSpec spec;
  spec.function.code = {text.entry(), text.bytes(), size};
  spec.stack_limit_offset = checked ? offset_of(&limit) : 0;
  return spec;
}

// With `limit` as given, relative to the stack pointer at the function's entry.
__attribute__((noinline)) u64 call_with_limit(u64 entry, i64 above) {
  u64 result;
  asm volatile(
      "lea -8(%%rsp), %%rax\n\t"
      "add %3, %%rax\n\t"
      "mov %%rax, %%fs:(%2)\n\t"
      "call *%1"
      : "=&a"(result)
      : "r"(entry), "r"(i64{offset_of(&limit)}), "r"(above)
      : "memory", "cc");
  limit = 0;
  return result;
}

}  // namespace

TEST_CASE("a call goes on natively above the limit, and is refused below") {
  static Patcher patcher;
  patcher.start(enter_target_offset(), offset_of(&refuse_target));
  const Text text(returning_seven());
  const Installed installed = patcher.install(spec_of(text, true), Threads::one);
  REQUIRE(installed.how == How::jump);
  const u64 entry = text.entry();
  limit = 0;  // unknown
  CHECK(pointer_to<int()>(entry)() == 7);
  CHECK(call_with_limit(entry, -1) == 7);
  CHECK(call_with_limit(entry, 0) == 7);
  CHECK(call_with_limit(entry, 1) == 2000 + static_cast<u64>(installed.index));
  int other = 0;
  std::thread([&] { other = pointer_to<int()>(entry)(); }).join();  // has a limit of its own
  CHECK(other == 7);
  CHECK(patcher.uninstall(static_cast<u32>(installed.index), Threads::one));
  CHECK(call_with_limit(entry, 1) == 7);
}

TEST_CASE("an entry changes from check to engine and back, under its old index") {
  static Patcher patcher;
  patcher.start(enter_target_offset(), offset_of(&refuse_target));
  const Text text(returning_seven());
  const Installed checked = patcher.install(spec_of(text, true), Threads::one);
  REQUIRE(checked.how == How::jump);
  const u32 index = static_cast<u32>(checked.index);
  const u64 native = patcher.native_path(index);
  for (const Threads threads : {Threads::one, Threads::many}) {
    const TrapHandler handler(patcher);
    REQUIRE(patcher.install(spec_of(text, false), threads).index == checked.index);
    patcher.upgrade_pending();
    CHECK(patcher.native_path(index) != native);  // somebody may still be in the old cell
    set_enter_target(address_of_function(&selfheal_test_refuse));
    CHECK(pointer_to<int()>(text.entry())() == 2000 + checked.index);
    set_enter_target(address_of_function(&selfheal_enter_native));
    CHECK(pointer_to<int()>(text.entry())() == 7);
    REQUIRE(patcher.install(spec_of(text, true), threads).index == checked.index);
    patcher.upgrade_pending();
    CHECK(call_with_limit(text.entry(), 1) == 2000 + static_cast<u64>(index));
    CHECK(call_with_limit(text.entry(), 0) == 7);
  }
  CHECK(patcher.uninstall(index, Threads::one));
  CHECK(std::memcmp(text.bytes(), returning_seven().data(), size) == 0);
}

TEST_CASE("an address in a checking cell is known for what it stands for") {
  static Patcher patcher;
  patcher.start(enter_target_offset(), offset_of(&refuse_target));
  const Text text(returning_seven());
  const Installed installed = patcher.install(spec_of(text, true), Threads::one);
  REQUIRE(installed.how == How::jump);
  const u64 cell = patcher.native_path(static_cast<u32>(installed.index)) - native_offset;
  for (const u64 at : {0, 9, 11, 112, 117}) {
    INFO("cell + " << at);
    CHECK(patcher.original_address(cell + at) == text.entry());
    CHECK(patcher.entering(cell + at).at == text.entry());
    CHECK(patcher.entering(cell + at).pushed == (at == 117 ? 8 : 0));
  }
  CHECK(patcher.entering(cell + 5).at == 0);  // inside of the comparison
  CHECK(patcher.original_address(cell + native_offset + 5) == text.entry() + 5);
}
