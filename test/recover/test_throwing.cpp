// Whether a healed call is to throw, held against what happens when something is thrown: first the
// function throws itself, and then what was chosen is thrown in its place. Both have to come to the
// same handler, through the same clean-ups.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "lib/recover/evidence.h"
#include "lib/recover/throwing.h"
#include "test/recover/fixtures/throwers.h"
#include "test/recover/machine_context.h"

using namespace selfheal;

extern "C" {
long fault(long);
void caught(long where);
void cleaned_up();
}

namespace {

std::vector<long> events;  // handlers, and 1000 for a clean-up
recover::OwnExits own;
recover::Return chosen;
Evidence evidence;
bool throw_it;

// The library is part of this program, and so the application would be the system's.
recover::ImageView process() {
  recover::ImageView view = recover::live_image();
  view.is_system = [](void*, const image::Module& module) {
    return !module.executable(address_of_function(&fault));
  };
  return view;
}

__attribute__((noinline)) long call(const thrower& one, const char* text) {
  events.clear();
  const long result = one.caller(text);
  asm volatile("" ::: "memory");  // no tail call: this frame is where the stack is cut
  return result;
}

void check(const char* level, const thrower* throwers) {
  for (const thrower* one = throwers; one->name != nullptr; ++one) {
    INFO(one->name << " at " << level);
    chosen = {};
    throw_it = false;
    const long returned = call(*one, "x");
    CHECK(std::string(name_of(chosen.thrown)) == one->thrown);
    CHECK((chosen.thrower != 0) == (*one->thrown != '\0'));
    CHECK((evidence == Evidence::throws) == (chosen.thrower != 0));
    std::vector<long> really;
    if (one->where >= 0) {
      call(*one, "!");
      really = events;
      REQUIRE(std::count(really.begin(), really.end(), one->where) == 1);
    }
    if (chosen.thrower != 0) {
      throw_it = true;
      CHECK(call(*one, "x") != returned);
      CHECK(events == really);
    }
  }
}

}  // namespace

void caught(long where) {
  events.push_back(where);
}
void cleaned_up() {
  events.push_back(1000);
}

// Chooses for the function that called it, as the runtime does for one that faulted at this call.
long fault(long value) {
  ucontext_t context;
  getcontext(&context);
  recover::Frame frames[max_frames];
  const unsigned count = test::frames_above(context, frames);
  const recover::ImageView image = process();
  const u64 cut = address_of_function(&call);
  std::vector<u64> callers;
  image::Module module;
  image::Function function;
  for (unsigned i = 2; i < count; ++i) {
    callers.push_back(frames[i].registers.rip);
    if (recover::find_owner(image, callers.back() - 1, module, function) && function.start == cut) {
      break;
    }
  }
  REQUIRE(function.start == cut);
  REQUIRE(recover::find_owner(image, frames[1].lookup_address(), module, function));
  recover::find_own_exits(function, frames[1].registers.rip, image, own);
  const recover::HealedCall site{callers, {}, nullptr, callers};
  chosen = recover::choose_return(own, site, FaultKind::null_access, image);
  recover::throw_instead(own, callers, image, chosen);
  evidence = recover::evidence_of(own, site, FaultKind::null_access, image, true);
  if (throw_it) {
    pointer_to<void(const char*)>(chosen.thrower)("internal error");
  }
  return value;
}

TEST_CASE("a function that throws is healed so where one of its callers catches it", "[throwing]") {
  check("gcc -O1", throwers_gcc_O1);
  check("gcc -O2", throwers_gcc_O2);
  check("gcc -O3", throwers_gcc_O3);
  check("gcc -Os", throwers_gcc_Os);
#ifdef SELFHEAL_HAS_CLANG
  check("clang -O1", throwers_clang_O1);
  check("clang -O2", throwers_clang_O2);
#endif
}

TEST_CASE("what is thrown is told apart by the path's length, those that avoid the fault first") {
  recover::OwnExits exits = {};
  const auto add = [&exits](u64 type, bool avoids, u16 length) {
    exits.add(recover::OwnThrow{type, 1, StandardException::runtime_error, avoids, length});
  };
  const auto types = [&exits] {
    std::vector<u64> result;
    for (unsigned i = 0; i < exits.throw_count; ++i) {
      result.push_back(exits.throws[i].type);
    }
    return result;
  };
  add(1, false, 10);
  add(2, true, 30);
  add(3, true, 20);
  CHECK(types() == std::vector<u64>{3, 2, 1});
  add(1, true, 25);
  CHECK(types() == std::vector<u64>{3, 1, 2});
  add(3, false, 1);
  CHECK(types() == std::vector<u64>{3, 1, 2});
  add(4, true, 1);
  add(5, true, 2);
  CHECK(types() == std::vector<u64>{4, 5, 3, 1});
  add(6, false, 1);
  CHECK(types() == std::vector<u64>{4, 5, 3, 1});
}
