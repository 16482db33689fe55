// What is done about a recursion that used up a stack, and what when that did not help.
#include <catch2/catch.hpp>

#include "lib/store/catalog.h"
#include "lib/store/policy.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

constexpr u8 check = static_cast<u8>(Remedy::stack_check);

FaultRecord recursion(u64 stride, u64 time_ns = 10, u8 in_force = 0) {
  FaultRecord record = fault_in(0x1000, time_ns);
  record.fault.kind = FaultKind::stack_exhaustion;
  record.detail.cycle = 2;
  record.detail.stride = stride;
  record.remedies = in_force;
  return record;
}

}  // namespace

TEST_CASE("a recursion is met by a check of the stack, with room for two turns of large frames") {
  CHECK(entry_from(recursion(96)).remedies == check);
  CHECK(entry_from(recursion(96)).stack_reserve == 0);  // the default
  CHECK(entry_from(recursion(1 << 20)).stack_reserve == 2 << 20);
  CHECK(entry_from(recursion(~u64{0})).stack_reserve == 1 << 30);
}

TEST_CASE("a recursion inside of libc, or none, is for the engine") {
  CHECK(entry_from(recursion(0)).remedies == 0);
  CHECK(entry_from(fault_in(0x1000)).remedies == 0);
}

TEST_CASE("a check that was made in vain gives way to the engine") {
  CatalogEntry entry = entry_from(recursion(96));
  SECTION("at once") {
    CHECK(count_fault(recursion(96, 20, check), entry) == FaultCounted::policy_changed);
    CHECK(entry.remedies == 0);
  }
  SECTION("but not because of a process that did not know of it yet") {
    CHECK(count_fault(recursion(96, 20), entry) == FaultCounted::counted);
    CHECK(entry.remedies == check);
  }
  SECTION("but first to a larger reserve, where the frames have grown") {
    CHECK(count_fault(recursion(1 << 20, 20, check), entry) == FaultCounted::policy_changed);
    CHECK(entry.remedies == check);
    CHECK(entry.stack_reserve == 2 << 20);
    CHECK(count_fault(recursion(1 << 20, 30, check), entry) == FaultCounted::policy_changed);
    CHECK(entry.remedies == 0);
  }
  SECTION("and for a fault of another kind") {
    CHECK(count_fault(fault_in(0x1000, 20), entry) == FaultCounted::policy_changed);
    CHECK(entry.remedies == 0);
  }
  SECTION("unless the user wants it") {
    entry.remedies_by_user = 1;
    CHECK(count_fault(recursion(96, 20, check), entry) == FaultCounted::counted);
    CHECK(entry.remedies == check);
  }
}
