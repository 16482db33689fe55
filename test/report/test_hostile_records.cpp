// Records come from a file that any worker may write: nothing in one may crash the reader, or send
// control characters to a terminal.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "test/report/sample.h"

namespace selfheal::report::test {
namespace {

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); });
}

TEST_CASE("random bytes render as printable text") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    FaultRecord fault;
    HealRecord heal;
    const auto fill = [&random](void* where, size_t size) {
      for (size_t i = 0; i < size; ++i) {
        static_cast<u8*>(where)[i] = static_cast<u8>(random());
      }
    };
    fill(&fault, sizeof fault);
    fill(&heal, sizeof heal);
    fault.fault.kind = static_cast<FaultKind>(random() % 11);
    heal.fault.kind = static_cast<FaultKind>(random() % 11);
    heal.outcome = static_cast<HealOutcome>(random() % 5);
    REQUIRE(printable(rendered(fault, default_outlook(fault))));
    REQUIRE(printable(rendered(heal)));
  }
}

TEST_CASE("names with escape sequences and without an end are tamed") {
  FaultRecord record = sample_fault();
  std::memset(record.modules[0].name, '\x1b', sizeof record.modules[0].name);
  const std::string text = rendered(record, default_outlook(record));
  CHECK(printable(text));
  CHECK(text.find(std::string(sizeof record.modules[0].name, '?') + "+0x12ab") !=
        std::string::npos);
}

}  // namespace
}  // namespace selfheal::report::test
