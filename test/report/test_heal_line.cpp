#include <algorithm>
#include <catch2/catch.hpp>

#include "lib/base/standard_exception.h"
#include "test/report/sample.h"

namespace selfheal::report::test {
namespace {

TEST_CASE("a heal is one line with all that was decided and done") {
  HealRecord record = sample_heal();
  CHECK(rendered(record) ==
        "selfheal: process 4711 healed: handle_request read from address 0x18, a NULL pointer plus "
        "24 at mod_crash.so+0x12ab; returned -1 (the caller tests the sign, errno 5), 12.3 us, "
        "4096 bytes rolled back\n");

  record.level = 1;
  record.actions_undone = 1;
  record.irrevocable = 10;
  record.irrevocable_calls[0] = 1;
  record.irrevocable_calls[1] = 44;
  record.irrevocable_calls[2] = 999;
  const std::string text = rendered(record);
  CHECK(text.find("errno 5), level 1, 12.3 us") != std::string::npos);
  CHECK(
      text.find("rolled back, 1 action undone, could not undo write, sendto, system call 999, ") !=
      std::string::npos);
  CHECK(text.find(" and 2 more\n") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("values are shown as people write them") {
  HealRecord record = sample_heal();
  record.error_number = 0;
  const auto value = [&record](u64 rax_value, ValueReason reason) {
    record.value = rax_value;
    record.reason = reason;
    const std::string text = rendered(record);
    const size_t start = text.find("; ") + 2;
    return text.substr(start, text.find(" (") - start);
  };
  CHECK(value(0, ValueReason::caller_tests_null) == "returned NULL");
  CHECK(value(0, ValueReason::caller_tests_int) == "returned 0");
  CHECK(value(~u64{0}, ValueReason::caller_tests_sign) == "returned -1");
  CHECK(value(500, ValueReason::policy) == "returned 500");
  CHECK(value(0x7f0012345678, ValueReason::policy) == "returned 0x7f0012345678");
  CHECK(value(0, ValueReason::unused) == "returned");
  CHECK(value(static_cast<u64>(StandardException::invalid_argument), ValueReason::throws) ==
        "threw std::invalid_argument");
}

TEST_CASE("a heal without rollback and one that was refused are told apart") {
  HealRecord record = sample_heal();
  record.outcome = HealOutcome::eager;
  CHECK(rendered(record).find("by unwinding without rollback\n") != std::string::npos);
  record.outcome = HealOutcome::left_to_die;
  CHECK(rendered(record) ==
        "selfheal: process 4711 not healed: handle_request read from address 0x18, a NULL pointer "
        "plus 24 at mod_crash.so+0x12ab\n");
  record.outcome = HealOutcome::unprotected;
  CHECK(rendered(record) ==
        "selfheal: process 4711 goes on unprotected: handle_request changes more memory than its "
        "undo "
        "log holds (option log-megabytes), at mod_crash.so+0x12ab\n");
}

}  // namespace
}  // namespace selfheal::report::test
