// Recursions of this very process, found from their innermost frame.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <pthread.h>
#include <search.h>

#include "lib/recover/recursion.h"
#include "test/recover/machine_context.h"
#include "test/support/opaque.h"

using namespace selfheal;
using recover::Recursion;
using recover::RecursionSearch;

namespace {

// As live_image, but this program may be blamed although the code under test is linked into it.
bool is_libc(void*, const image::Module& module) {
  return image::is_system_library(module) && !image::is_own_module(module);
}

Recursion found;
u64 outermost_of_step;
u64 return_of_step;

SELFHEAL_OPAQUE int search_here(const void* step) {
  static RecursionSearch search;
  recover::ImageView view = recover::live_image();
  view.is_system = &is_libc;
  ucontext_t context;
  getcontext(&context);
  search.begin();
  search.collect(test::registers_of(context), test::own_stack());
  outermost_of_step = search.outermost_entry(address_of(step));
  return_of_step = outermost_of_step == 0 ? 0 : *pointer_to<const u64>(outermost_of_step);
  found = search.conclude(view);
  return 0;
}

bool blamed(const void* function) {
  image::Module module;
  image::Function owner;
  bool cold = false;
  const u64 address = found.blamed.lookup_address();
  return image::find_module(address, module) && image::find_owner(module, address, owner, cold) &&
         owner.start == address_of(function);
}

// A step of 1000 bytes at least, which checks what it gets.
u64 entry_of_first;
SELFHEAL_OPAQUE int straight(int depth) {
  volatile char frame[1000];
  frame[0] = 1;
  const int status = depth == 0 ? search_here(pointer_to<void>(address_of_function(&straight)))
                                : straight(depth - 1);
  return status < 0 ? -1 : status + frame[0] - 1;
}

SELFHEAL_OPAQUE int odd(int depth);
SELFHEAL_OPAQUE int even(int depth) {
  const int status = depth == 0 ? search_here(nullptr) : odd(depth - 1);
  return status < 0 ? -1 : 0;
}
// Hands on whatever it gets.
SELFHEAL_OPAQUE int odd(int depth) {
  volatile int deeper = depth - 1;
  const int status = even(deeper);
  asm volatile("");
  return status;
}

// lfind and not qsort, which the sanitizers replace by a function of the program's.
int search_depth;
SELFHEAL_OPAQUE int compare(const void*, const void*) {
  int two[2] = {1, 2};
  size_t count = 2;
  if (--search_depth <= 0) {
    if (search_depth == 0) {
      search_here(nullptr);
    }
    return 0;
  }
  lfind(two, two, &count, sizeof two[0], &compare);
  return 0;
}

SELFHEAL_OPAQUE int nothing_recursive(int value) {
  return search_here(nullptr) + value;
}

}  // namespace

TEST_CASE("a function that calls itself, with its outermost activation and the size of a turn") {
  constexpr int depth = 5000;
  asm volatile("lea -8(%%rsp), %0" : "=r"(entry_of_first));
  REQUIRE(straight(depth) == 0);
  REQUIRE(found.found);
  CHECK(found.functions == 1);
  CHECK(found.stride >= 1000);
  CHECK(found.stride < 8192);  // a sanitizer adds to it
  CHECK(blamed(pointer_to<void>(address_of_function(&straight))));
  CHECK(found.blamed_at == depth + 1);  // search_here is the innermost frame
  // It was called from here, and returns to right behind.
  CHECK(outermost_of_step <= entry_of_first);
  CHECK(entry_of_first - outermost_of_step < 8192);
  CHECK(return_of_step == found.outermost_call);
}

TEST_CASE("of two functions that call each other the one is blamed whose caller looks") {
  REQUIRE(even(5000) == 0);
  REQUIRE(found.found);
  CHECK(found.functions == 2);
  CHECK(blamed(pointer_to<void>(address_of_function(&odd))));  // even looks at what odd returns
  CHECK(found.stride != 0);
}

TEST_CASE("a recursion through a callback of libc is the callback's") {
  int two[2] = {1, 2};
  size_t count = 2;
  search_depth = 2000;
  lfind(two, two, &count, sizeof two[0], &compare);
  REQUIRE(found.found);
  CHECK(found.functions >= 2);
  CHECK(blamed(pointer_to<void>(address_of_function(&compare))));
}

TEST_CASE("where nothing takes up most of the stack there is no recursion") {
  REQUIRE(nothing_recursive(0) == 0);
  CHECK_FALSE(found.found);
}
