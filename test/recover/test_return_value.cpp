#include <catch2/catch.hpp>
#include <cerrno>
#include <pthread.h>
#include <string>

#include "lib/image/module.h"
#include "lib/recover/return_value.h"
#include "lib/recover/unwind.h"
#include "test/recover/fixtures/callers.h"
#include "test/recover/machine_context.h"
#include "test/recover/snippets.h"

using namespace selfheal;

// What the fixtures call.
extern "C" {
long probe();
void work();
void complain();
}

namespace {

volatile int worked;
recover::ReturnValue inferred;

struct Level {
  const char* name;
  const caller* callers;
};

const Level levels[] = {{"O0", callers_O0},
                        {"O1", callers_O1},
                        {"O2", callers_O2},
                        {"O3", callers_O3},
                        {"Os", callers_Os}};

}  // namespace

void work() {
  worked = worked + 1;
}
void complain() {
  worked = worked - 1;
}

// Infers from its own return addresses, as the runtime does for a function that faulted.
long probe() {
  ucontext_t context;
  getcontext(&context);
  recover::Frame frames[8];
  const unsigned count = test::frames_above(context, frames);
  u64 addresses[8];
  for (unsigned i = 1; i < count; ++i) {
    addresses[i - 1] = frames[i].registers.rip;
  }
  inferred = recover::infer_return_value({addresses, count - 1}, FaultKind::null_access,
                                         recover::live_image());
  return static_cast<long>(inferred.value);
}

TEST_CASE("callers compiled at every level get the value that they take for failure",
          "[return_value]") {
  for (const Level& level : levels) {
    for (const caller* c = level.callers; c->name != nullptr; ++c) {
      const long outcome = c->function();
      INFO(c->name << " at " << level.name << ", " << name_of(inferred.reason));
      CHECK(static_cast<i64>(inferred.value) == c->value);
      CHECK(static_cast<int>(outcome) == c->outcome);
    }
  }
}

static u64 snippet(const char* name) {
  const test::Snippet* s = test::snippets;
  while (std::string(s->name) != name) {
    ++s;
  }
  return address_of(s->code);
}

TEST_CASE("what is stored and then left in rax is not unused, if the next caller does not look",
          "[return_value]") {
  const auto reason = [](const char* first, const char* second) {
    const u64 addresses[] = {snippet(first), snippet(second)};
    return recover::infer_return_value(addresses, FaultKind::null_access, recover::live_image())
        .reason;
  };
  CHECK(reason("stored, and left in rax", "unused") == ValueReason::fallback);
  CHECK(reason("handed on to nobody", "unused") == ValueReason::unused);
  CHECK(reason("stored, and left in rax", "sign") == ValueReason::caller_tests_sign);
}

TEST_CASE("what goes into a table unchecked, from a loop, is taken for granted", "[return_value]") {
  CHECK(recover::find_caller_use(snippet("into a table, in a loop"), recover::live_image()).use ==
        recover::Use::trusted);
}

TEST_CASE("snippets of assembler: value and reason", "[return_value]") {
  for (const test::Snippet* s = test::snippets; s->name != nullptr; ++s) {
    INFO(s->name);
    const u64 addresses[] = {address_of(s->code)};
    const recover::ReturnValue value =
        recover::infer_return_value(addresses, FaultKind::null_access, recover::live_image());
    CHECK(static_cast<i64>(value.value) == s->value);
    CHECK(std::string(name_of(value.reason)) == name_of(s->reason));
  }
}

TEST_CASE("errno goes with -1 and NULL, by the kind of fault, and with nothing else",
          "[return_value]") {
  const auto infer = [](const char* name, FaultKind kind) {
    const u64 addresses[] = {snippet(name)};
    return recover::infer_return_value(addresses, kind, recover::live_image()).error_number;
  };
  CHECK(infer("sign", FaultKind::null_access) == EFAULT);
  CHECK(infer("sign", FaultKind::divide) == EDOM);
  CHECK(infer("sign", FaultKind::illegal_instruction) == ENOSYS);
  CHECK(infer("sign", FaultKind::stack_exhaustion) == ENOMEM);
  CHECK(infer("sign", FaultKind::time_out) == ETIMEDOUT);
  CHECK(infer("null", FaultKind::bus) == EFAULT);
  CHECK(infer("unused", FaultKind::null_access) == 0);
  CHECK(infer("byte", FaultKind::null_access) == 0);
  CHECK(infer("minus two", FaultKind::null_access) == 0);
}

TEST_CASE("no code at the return address is no reason to fault", "[return_value]") {
  const u64 nowhere[] = {0, 0x1234, ~u64{0}};
  const recover::ReturnValue value =
      recover::infer_return_value(nowhere, FaultKind::null_access, recover::live_image());
  CHECK(value.reason == ValueReason::fallback);
  CHECK(value.value == 0);
  CHECK(recover::infer_return_value({}, FaultKind::divide, recover::live_image()).reason ==
        ValueReason::fallback);
}
