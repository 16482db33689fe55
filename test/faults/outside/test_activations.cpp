// What several looks at one stack have in common.
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "lib/base/sample_request.h"
#include "lib/runtime/activations.h"

namespace selfheal::runtime {
namespace {

constexpr u64 serve_from = 0x310, main_from = 0x410, start_from = 0x510;

// Where each function returns to, from the innermost outwards.
using Stack = std::vector<Activation>;

const Stack in_strlen{{10, 0x210}, {20, serve_from}, {30, main_from}, {40, start_from}};
const Stack in_parse{{20, serve_from}, {30, main_from}, {40, start_from}};

// The innermost activation that is in all of them.
std::optional<Activation> innermost(std::initializer_list<Stack> looks) {
  SharedActivations<64> shared{};
  for (const Stack& stack : looks) {
    shared.look(stack);
  }
  CHECK(shared.looks() == looks.size());
  return shared.shared().empty() ? std::nullopt : std::optional(shared.shared().front());
}

TEST_CASE("the innermost activation that did not return is found") {
  CHECK(innermost({in_strlen, in_parse, in_strlen}) == Activation{20, serve_from});
}

TEST_CASE("a function that was called from elsewhere is another activation") {
  CHECK(innermost({in_parse, {{20, serve_from + 5}, {30, main_from}, {40, start_from}}}) ==
        Activation{30, main_from});
}

TEST_CASE("the same call deeper in a recursion is another activation") {
  const Stack deeper{{10, serve_from}, {20, main_from + 8}, {30, main_from}, {40, start_from}};
  CHECK(innermost({in_parse, deeper}) == Activation{30, main_from});
}

TEST_CASE("stacks with nothing in common blame nobody, whatever comes then") {
  CHECK(!innermost({in_parse, {{120, serve_from}, {130, main_from}}, in_parse}));
  CHECK(!innermost({in_parse, {}}));
}

TEST_CASE("of a deep stack the innermost are kept") {
  Stack deep;
  for (u64 i = 0; i < 100; ++i) {
    deep.push_back({16 * i, 0x1000 + i});
  }
  CHECK(innermost({deep, deep}) == deep.front());
  const Stack returned(deep.begin() + 63, deep.end());
  CHECK(innermost({deep, returned}) == deep[63]);
  CHECK(!innermost({deep, Stack(deep.begin() + 64, deep.end())}));
}

TEST_CASE("what was shared is forgotten where that is wanted") {
  SharedActivations<4> shared{};
  shared.look(in_parse);
  CHECK(shared.holds({30, main_from}));
  CHECK(!shared.holds({30, serve_from}));
  shared.forget();
  CHECK(!shared.holds({30, main_from}));
  shared.look(in_strlen);
  CHECK(shared.shared().front() == in_strlen.front());
}

TEST_CASE("only values that are requests are taken for one") {
  for (const u64 value :
       {u64{0}, ~u64{0}, sample_magic, sample_magic | 0x0a04, sample_magic | 0x0101, u64{0x0a01}}) {
    CHECK(sample_request(value).order == SampleOrder::none);
  }
  const SampleRequest sent{SampleOrder::conclude_busy, FaultKind::memory_growth, 65535};
  const SampleRequest got = sample_request(sample_value(sent));
  CHECK((got.order == sent.order && got.kind == sent.kind && got.number == sent.number));
}

}  // namespace
}  // namespace selfheal::runtime
