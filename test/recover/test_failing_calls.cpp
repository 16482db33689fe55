// A function is walked as if a library call of its had failed: what it returns then is how it
// reports failure.
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>

#include "lib/recover/choice.h"
#include "lib/recover/imports.h"
#include "test/recover/fixtures/failing_calls.h"

using namespace selfheal;
using recover::Exit;
using recover::OwnExits;

namespace {

template <typename Parameter>
image::Function function_of(int (*function)(Parameter)) {
  image::Module module;
  image::Function found{};
  REQUIRE(image::find_module(address_of_function(function), module));
  REQUIRE(image::find_function(module, address_of_function(function), found));
  return found;
}

template <typename Parameter>
OwnExits exits_of(int (*function)(Parameter), u64 site = 0) {
  OwnExits own;
  REQUIRE(recover::find_own_exits(function_of(function), site, recover::live_image(), own));
  return own;
}

// The one exit that a failed call leads to; null: none or several.
const Exit* told(const OwnExits& own) {
  const Exit* found = nullptr;
  for (const Exit& exit : own) {
    if (exit.failed_calls != 0) {
      if (found != nullptr) {
        return nullptr;
      }
      found = &exit;
    }
  }
  return found;
}

template <typename Parameter>
void check_told(int (*function)(Parameter), i64 value, i32 error_number) {
  const OwnExits own = exits_of(function);
  const Exit* exit = told(own);
  REQUIRE(exit != nullptr);
  CHECK(exit->kind == Exit::constant);
  CHECK(static_cast<i64>(exit->value) == value);
  CHECK(exit->library_error == error_number);
}

bool anything_told(const OwnExits& own) {
  bool any = false;
  for (const Exit& exit : own) {
    any = any || exit.failed_calls != 0;
  }
  return any;
}

// Behind the function's first call of `name`.
template <typename Parameter>
u64 behind_call_of(int (*function)(Parameter), const char* name) {
  const image::Function at = function_of(function);
  recover::CodeWalk walk(recover::live_image(), 200);
  for (u64 next = at.start; next < at.end() && walk.fetch(next); next = walk.next()) {
    const char* callee = walk.category() == ZYDIS_CATEGORY_CALL
                             ? recover::imported_callee(recover::live_image(), walk, at.start)
                             : nullptr;
    if (callee != nullptr && std::strcmp(callee, name) == 0) {
      return walk.next();
    }
  }
  return 0;
}

// What a caller that hands the value on, with nobody known behind it, would be given.
recover::ReturnValue chosen(const OwnExits& own) {
  return recover::choose_return(own, {{}, {}}, FaultKind::null_access, recover::live_image())
      .in_rax;
}

}  // namespace

TEST_CASE("what a function returns when a library call fails is how it reports failure",
          "[failing_calls]") {
  check_told(&no_memory_is_7, 7, ENOMEM);
  check_told(&tried_again, -5, EIO);
  check_told(&a_number, 11, 0);
  check_told(&left_behind_a_pointer, -9, 0);
}

TEST_CASE("what it hands on is the library's error value", "[failing_calls]") {
  check_told(&handed_on, -1, ENOMEM);
  check_told(&handed_on_later, -1, ENOMEM);
}

TEST_CASE("a failure that changes nothing, or leaves it open, says nothing", "[failing_calls]") {
  CHECK_FALSE(anything_told(exits_of(&nobody_looks)));
  CHECK_FALSE(anything_told(exits_of(&one_of_several)));
  CHECK_FALSE(anything_told(exits_of(&only_logged)));
  CHECK_FALSE(anything_told(exits_of(&too_far)));
}

TEST_CASE("the end of the input is no failure", "[failing_calls]") {
  check_told(&end_of_input, -1, ENOMEM);  // of fopen, not of fgets
}

TEST_CASE("the value is chosen, with the errno of the library's failure", "[failing_calls]") {
  CHECK(chosen(exits_of(&no_memory_is_7)).value == 7);
  CHECK(chosen(exits_of(&no_memory_is_7)).reason == ValueReason::library_error);
  CHECK(chosen(exits_of(&handed_on_later)).value == ~u64{0});
}

TEST_CASE("the call that faulted is told from others", "[failing_calls]") {
  const u64 site = behind_call_of(&no_memory_is_7, "strdup");
  REQUIRE(site != 0);
  const OwnExits own = exits_of(&no_memory_is_7, site);
  REQUIRE(told(own) != nullptr);
  CHECK(told(own)->faulting_call);
  CHECK_FALSE(told(exits_of(&no_memory_is_7, site + 1))->faulting_call);
  CHECK(chosen(own).value == 7);
}
