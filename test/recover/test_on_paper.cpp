// Results that a compiler makes of a sign without a branch.
#include <catch2/catch.hpp>
#include <set>

#include "lib/recover/own_exits.h"

using namespace selfheal;

// The sign of one number, spread in two ways; of two numbers.
asm(R"(
.text
.p2align 4
signs_of_one:
  mov (%rdi), %rax
  mov %rax, %rcx
  sar $63, %rax
  shr $63, %rcx
  add %rcx, %rax
  ret
signs_of_two:
  mov (%rdi), %rax
  mov (%rsi), %rcx
  sar $63, %rax
  shr $62, %rcx
  add %rcx, %rax
  ret
shifted_by_half:
  mov (%rdi), %rax
  shr $32, %rax
  ret
signs_end:
)");

extern "C" const u8 signs_of_one[], signs_of_two[], shifted_by_half[], signs_end[];

namespace {

// The constants that code from `begin` to `end` returns.
std::set<i64> constants_of(const u8* begin, const u8* end) {
  image::Function function = {};
  function.start = address_of(begin);
  function.size = static_cast<u64>(end - begin);
  recover::OwnExits own;
  REQUIRE(recover::find_own_exits(function, 0, recover::live_image(), own));
  std::set<i64> values;
  for (const recover::Exit& exit : own) {
    if (exit.kind == recover::Exit::constant) {
      values.insert(static_cast<i64>(exit.value));
    }
  }
  return values;
}

}  // namespace

TEST_CASE("a sign that is decided once is the same in every shift", "[on_paper]") {
  CHECK(constants_of(signs_of_one, signs_of_two) == std::set<i64>{0});
}

TEST_CASE("the signs of two numbers are independent", "[on_paper]") {
  CHECK(constants_of(signs_of_two, shifted_by_half) == std::set<i64>{-1, 0, 2, 3});
}

TEST_CASE("other shifts say nothing", "[on_paper]") {
  CHECK(constants_of(shifted_by_half, signs_end).empty());
}
