// Where the caller at hand leaves it open, the others of the same function decide.
#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "lib/image/callers.h"
#include "lib/recover/choice.h"
#include "test/recover/fixtures/many_callers.h"

using namespace selfheal;
using recover::OtherCallers;
using recover::OwnExits;
using recover::Use;

namespace {

template <typename Result, typename Parameter>
image::Function function_of(Result (*function)(Parameter)) {
  image::Module module;
  image::Function found{};
  REQUIRE(image::find_module(address_of_function(function), module));
  REQUIRE(image::find_function(module, address_of_function(function), found));
  return found;
}

template <typename Callee>
OtherCallers others_of(Callee callee) {
  return recover::find_other_callers(function_of(callee), recover::live_image());
}

// Where `caller` calls `callee`.
template <typename Callee, typename Caller>
u64 behind_call(Callee callee, Caller caller) {
  const image::Function called = function_of(callee);
  const image::Function calling = function_of(caller);
  image::Module module;
  std::array<u64, 16> found{};
  REQUIRE(image::find_module(called.start, module));
  const unsigned count = image::find_callers(module, called, found);
  for (unsigned i = 0; i < count; ++i) {
    if (calling.holds(found[i])) {
      return found[i];
    }
  }
  FAIL("no such call");
  return 0;
}

// What `caller` is given for `callee`, of whose exits nothing else is known, or for which they are.
template <typename Callee, typename Caller>
recover::ReturnValue given(Callee callee, Caller caller, const OtherCallers* others,
                           const OwnExits& own = {}) {
  const u64 address = behind_call(callee, caller);
  return recover::choose_return(own, {{&address, 1}, {}, others}, FaultKind::null_access,
                                recover::live_image())
      .in_rax;
}

template <typename Callee>
OwnExits exits_of(Callee callee) {
  OwnExits own;
  REQUIRE(recover::find_own_exits(function_of(callee), 0, recover::live_image(), own));
  return own;
}

}  // namespace

TEST_CASE("a function's other callers are counted by what they take for failure",
          "[other_callers]") {
  const OtherCallers others = others_of(&load);
  CHECK(int{others.count} == 6);
  CHECK(int{others.agree} == 3);
  CHECK(int{others.against} == 0);
  CHECK(others.use.use == Use::sign);
  CHECK(others.decide());
}

TEST_CASE("one's own calls do not count, nor does who is called by nobody", "[other_callers]") {
  const OtherCallers others = others_of(&lonely);
  CHECK(int{others.count} == 0);
  CHECK_FALSE(others.decide());
}

TEST_CASE("where they disagree nothing is decided", "[other_callers]") {
  const OtherCallers others = others_of(&disputed);
  CHECK(int{others.count} == 3);
  CHECK(int{others.agree} == 1);
  CHECK(int{others.against} == 1);
  CHECK_FALSE(others.decide());
  CHECK(given(&disputed, &disputed_ignored, &others).reason == ValueReason::unused);
}

TEST_CASE("few that disagree are outvoted", "[other_callers]") {
  std::vector<u64> addresses;
  for (auto* caller : {&loads_first, &loads_second, &loads_third}) {
    addresses.push_back(behind_call(&load, caller));
  }
  addresses.push_back(behind_call(&disputed, &disputed_one));
  CHECK_FALSE(recover::tally(addresses, recover::live_image()).decide());
  addresses.push_back(behind_call(&disputed, &disputed_sign));
  const OtherCallers others = recover::tally(addresses, recover::live_image());
  CHECK(int{others.agree} == 4);
  CHECK(int{others.against} == 1);
  CHECK(others.decide());
}

TEST_CASE("a caller that leaves it open is given what the others take for failure",
          "[other_callers]") {
  const OtherCallers others = others_of(&load);
  CHECK(given(&load, &loads_and_hands_on, nullptr).reason == ValueReason::fallback);
  const auto handed_on = given(&load, &loads_and_hands_on, &others);
  CHECK(handed_on.value == ~u64{0});
  CHECK(handed_on.reason == ValueReason::other_callers);
  CHECK(given(&load, &loads_and_leaves_open, &others).reason == ValueReason::other_callers);
  CHECK(given(&load, &loads_and_leaves_open, &others).value == ~u64{0});
  // Nobody looks: nothing is better than what nobody asks for.
  CHECK(given(&load, &loads_and_ignores, &others).reason == ValueReason::unused);
  // It says what it wants itself.
  CHECK(given(&load, &loads_first, &others).reason == ValueReason::caller_tests_sign);
}

TEST_CASE("the exits of the function are judged by another caller", "[other_callers]") {
  // A count, 2, avoids the fault. Who hands it on does not say that it is none, the others do.
  OwnExits own = {};
  own.analysed = own.returns = true;
  own.add_constant(2);
  own.exits[0].avoids_fault = true;
  own.add_constant(0);
  const OtherCallers others = others_of(&load);
  CHECK(given(&load, &loads_and_hands_on, nullptr, own).value == 2);
  CHECK(given(&load, &loads_and_hands_on, &others, own).value == ~u64{0});
}

#ifndef __clang__  // which makes selections of the branches
TEST_CASE("who answers 1 or 0 answers 1 only where all others take it for failure for certain",
          "[other_callers]") {
  const OwnExits bad = exits_of(&is_bad);
  REQUIRE(bad.is_truth_value());
  const OtherCallers others = others_of(&is_bad);
  CHECK(int{others.agree} == 2);
  CHECK(given(&is_bad, &bad_handed_on, nullptr, bad).reason == ValueReason::truth_value);
  CHECK(given(&is_bad, &bad_handed_on, &others, bad).value != 0);
  OtherCallers fewer = others;
  fewer.agree = 1;
  CHECK(given(&is_bad, &bad_handed_on, &fewer, bad).value == 0);
  fewer = others;
  fewer.agree = 8;
  fewer.against = 1;
  CHECK(given(&is_bad, &bad_handed_on, &fewer, bad).value == 0);
}
#endif

TEST_CASE("who answers 1 or 0 answers 0 where others take that for failure", "[other_callers]") {
  const OwnExits good = exits_of(&is_good);
  const OtherCallers others = others_of(&is_good);
  CHECK(int{others.agree} == 2);
  CHECK(given(&is_good, &good_handed_on, &others, good).value == 0);
}
