#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <pthread.h>
#include <string>
#include <system_error>

#include "lib/recover/choice.h"
#include "lib/recover/unwind.h"
#include "test/recover/fixtures/refusals.h"
#include "test/recover/machine_context.h"

using namespace selfheal;

extern "C" {
long fault(long);
void refused_it();
void went_on_with(long);
long seen_as(long);
void say(const char*);
}

namespace {

recover::OwnExits own;
recover::Return chosen;
volatile long seen;

const recover::ExitStore* store_at(u8 argument, i32 offset) {
  for (unsigned i = 0; i < chosen.store_count; ++i) {
    if (chosen.stores[i].argument == argument && chosen.stores[i].offset == offset) {
      return &chosen.stores[i];
    }
  }
  return nullptr;
}

bool is_right(const refusal& r) {
  const recover::ExitStore* store = nullptr;
  switch (r.how) {
    case Refused::number:
      return static_cast<long>(chosen.in_rax.value) == r.value &&
             chosen.in_rax.reason == ValueReason::own_error;
    case Refused::code:  // none of its own
      return static_cast<long>(chosen.in_rax.value) == r.value &&
             chosen.in_rax.reason != ValueReason::own_error;
    case Refused::asked:
      return static_cast<long>(chosen.in_rax.value) == r.value &&
             chosen.in_rax.reason == ValueReason::caller_compares;
    case Refused::out_parameter:
      store = store_at(1, 0);
      return (chosen.in_rax.value & 0xff) == 0 && store != nullptr && store->value == 0 &&
             store->size == 8;
    case Refused::vector:
      return chosen.has_vector && static_cast<long>(chosen.vector) == r.value;
    case Refused::object:
      store = store_at(0, 0);
      return chosen.is_object && chosen.cleared >= 8 && store != nullptr && store->value == 0;
    case Refused::string:  // its pointer points into itself
      store = store_at(0, 0);
      return chosen.is_object && store != nullptr && store->based == 1 && store->base == 0 &&
             store->value == 16 && store_at(0, 8) != nullptr && store_at(0, 8)->value == 0;
    case Refused::second:
      return static_cast<long>(chosen.in_rax.value) == r.value && chosen.has_second &&
             std::strcmp(pointer_to<const char>(chosen.second), "empty") == 0;
    case Refused::category:
      return static_cast<long>(chosen.in_rax.value) == r.value && chosen.has_second &&
             chosen.second == address_of(&std::generic_category());
  }
  return false;
}

void check(const char* level, const refusal* refusals) {
  for (const refusal* r = refusals; r->name != nullptr; ++r) {
    chosen = {};
    r->caller(r->how == Refused::out_parameter ? "=" : "x");
    INFO(r->name << " at " << level << ": " << static_cast<long>(chosen.in_rax.value) << ", "
                 << name_of(chosen.in_rax.reason) << ", exits " << int{own.count} << ", stores "
                 << int{chosen.store_count});
    CHECK(is_right(*r));
  }
}

}  // namespace

void refused_it() {
  seen = seen - 1;
}
void went_on_with(long value) {
  seen = value;
}
void say(const char*) {
  seen = seen - 2;
}
long seen_as(long value) {
  seen = value;
  return seen;
}

// Chooses for the function that called it, as the runtime does for one that faulted at this call.
long fault(long value) {
  ucontext_t context;
  getcontext(&context);
  recover::Frame frames[8];
  const unsigned count = test::frames_above(context, frames);
  u64 callers[8];
  unsigned known = 0;
  for (unsigned i = 2; i < count; ++i) {
    callers[known++] = frames[i].registers.rip;
  }
  const recover::ImageView& image = recover::live_image();
  image::Module module;
  image::Function function;
  bool cold = false;
  REQUIRE(image.find_module(image.context, frames[1].lookup_address(), module));
  REQUIRE(image.find_owner(image.context, module, frames[1].lookup_address(), function, cold));
  recover::find_own_exits(function, frames[1].registers.rip, image, own);
  chosen = recover::choose_return(own, {{callers, known}, {}}, FaultKind::null_access, image);
  return value;
}

TEST_CASE("functions compiled by gcc and clang get the value with which they refuse", "[choice]") {
  check("gcc -O1", refusals_gcc_O1);
  check("gcc -O2", refusals_gcc_O2);
  check("gcc -O3", refusals_gcc_O3);
  check("gcc -Os", refusals_gcc_Os);
#ifdef SELFHEAL_HAS_CLANG
  check("clang -O1", refusals_clang_O1);
  check("clang -O2", refusals_clang_O2);
#endif
}

TEST_CASE("without exits of its own the caller's code is asked", "[choice]") {
  const recover::OwnExits none = {};
  const recover::Return value =
      recover::choose_return(none, {{}, {}}, FaultKind::null_access, recover::live_image());
  CHECK(value.in_rax.reason == ValueReason::fallback);
  CHECK(value.store_count == 0);
  CHECK_FALSE(value.is_object);
}
