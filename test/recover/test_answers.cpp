// Where a caller does not say which value is the failure, the function's own constants do.
#include <array>
#include <catch2/catch.hpp>

#include "lib/recover/choice.h"
#include "lib/recover/straight_exits.h"
#include "test/recover/fixtures/answers.h"

using namespace selfheal;
using recover::OwnExits;
using recover::ReturnValue;

namespace {

volatile int decided;
int (*faulted)(int);
ReturnValue inferred;

u64 entry_of(int (*function)(int)) {
  return address_of_function(function);
}

image::Function function_at(u64 entry) {
  image::Module module;
  image::Function function{};
  if (!image::find_module(entry, module) || !image::find_function(module, entry, function)) {
    function.start = entry;
    function.size = 16;
  }
  return function;
}

OwnExits exits_of(int (*function)(int)) {
  OwnExits own;
  REQUIRE(recover::find_own_exits(function_at(entry_of(function)), 0, recover::live_image(), own));
  return own;
}

// As far as straight walks see it: what is left where a function has too many paths.
OwnExits straight_exits_of(int (*function)(int)) {
  OwnExits own = {};
  recover::add_straight_exits(function_at(entry_of(function)), recover::live_image(), own);
  return own;
}

// Lets `caller` call what stands for `function`, which is healed there.
template <typename Caller>
ReturnValue healed(int (*function)(int), Caller caller) {
  faulted = function;
  caller();
  return inferred;
}

}  // namespace

extern "C" {
int decide(int what);
void note(const char* text);
int decide(int what) {
  return decided + what;
}
void note(const char*) {
  decided = decided + 1;
}

__attribute__((noinline)) int probe_of_answers() {
  const std::array<u64, 1> addresses{address_of(__builtin_return_address(0))};
  inferred = recover::choose_return(exits_of(faulted), {addresses, {}}, FaultKind::null_access,
                                    recover::live_image())
                 .in_rax;
  return static_cast<int>(inferred.value);
}
}

TEST_CASE("a function that returns 1 or 0 answers yes or no; one with -1 among it does not",
          "[return_value]") {
  for (const auto exits : {&exits_of, &straight_exits_of}) {
    CHECK(exits(&answers_yes_or_no).is_truth_value());
    CHECK(exits(&answers_by_comparison).is_truth_value());
    CHECK_FALSE(exits(&returns_status).is_truth_value());
    CHECK_FALSE(exits(&returns_more).is_truth_value());
    CHECK_FALSE(exits(&returns_what_another_does).is_truth_value());
  }
}

TEST_CASE("no code to look at says nothing", "[return_value]") {
  for (const u64 entry : {u64{0}, u64{0x1234}, ~u64{0}}) {
    OwnExits own;
    CHECK(recover::find_own_exits(function_at(entry), 0, recover::live_image(), own));
    CHECK(own.count == 0);
  }
}

TEST_CASE("who answers yes or no says no when it cannot tell", "[return_value]") {
  for (int (*function)(int) : {&answers_yes_or_no, &answers_by_comparison}) {
    CHECK(healed(function, [] { both(1); }).value == 0);
    CHECK(inferred.reason == ValueReason::truth_value);
    CHECK(healed(function, [] { first_of_two(); }).value == 0);
  }
  CHECK(healed(&returns_status, [] { both(1); }).value == ~u64{0});
}

TEST_CASE("a special value is returned only by who may return it", "[return_value]") {
  CHECK(healed(&declines, [] { unless_declined(); }).value == static_cast<u64>(-5));
  CHECK(healed(&returns_what_another_does, [] { unless_declined(); }).value ==
        static_cast<u64>(-5));
  CHECK(healed(&returns_http_status, [] { unless_declined(); }).value == 500);
  CHECK(healed(&returns_status, [] { unless_declined(); }).value == ~u64{0});
}

#ifndef __clang__  // which makes another caller of it
TEST_CASE("a caller that certainly takes other values than 0 for failure gets one",
          "[return_value]") {
  CHECK(healed(&answers_yes_or_no, [] { a_failure_for_certain(); }).value == ~u64{0});
}
#endif
