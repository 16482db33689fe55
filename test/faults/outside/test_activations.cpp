// What several looks at one stack have in common.
#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "lib/base/sample_request.h"
#include "lib/runtime/activations.h"

namespace selfheal::runtime {
namespace {

using recover::Frame;

// From the innermost outwards: where each function stands now, and its stack pointer.
std::vector<Frame> stack(std::initializer_list<std::array<u64, 2>> frames) {
  std::vector<Frame> result;
  for (const auto& [rip, sp] : frames) {
    Frame frame{};
    frame.registers.rip = rip;
    frame.registers.gpr[rsp] = sp;
    result.push_back(frame);
  }
  return result;
}

constexpr u64 strlen_at = 0x100, parse_at = 0x200, serve_at = 0x300, main_at = 0x400;

TEST_CASE("the innermost activation that did not return is found") {
  Activations looks;
  looks.begin(stack({{strlen_at, 10}, {parse_at, 20}, {serve_at, 30}, {main_at, 40}}));
  looks.keep_common(stack({{parse_at + 8, 20}, {serve_at, 30}, {main_at, 40}}));
  const auto now = stack({{strlen_at + 4, 10}, {parse_at + 4, 20}, {serve_at, 30}, {main_at, 40}});
  looks.keep_common(now);
  CHECK(looks.innermost(now) == 1);  // parse: it returns to serve in all of them
}

TEST_CASE("a function that was called again is another activation") {
  Activations looks;
  looks.begin(stack({{parse_at, 20}, {serve_at, 30}, {main_at, 40}}));
  const auto other_line = stack({{parse_at, 20}, {serve_at + 5, 30}, {main_at, 40}});
  looks.keep_common(other_line);
  CHECK(looks.innermost(other_line) == 1);  // serve
}

TEST_CASE("the same call deeper in a recursion is another activation") {
  Activations looks;
  looks.begin(stack({{parse_at, 20}, {serve_at, 30}, {main_at, 40}}));
  const auto deeper = stack({{parse_at, 10}, {serve_at, 20}, {serve_at, 30}, {main_at, 40}});
  looks.keep_common(deeper);
  CHECK(looks.innermost(deeper) == 1);  // the outer serve has been left by nobody
}

TEST_CASE("stacks with nothing in common blame nobody") {
  Activations looks;
  looks.begin(stack({{parse_at, 20}, {serve_at, 30}}));
  const auto other = stack({{parse_at, 120}, {serve_at, 130}});
  looks.keep_common(other);
  CHECK(looks.innermost(other) == other.size());
  Activations one;
  one.begin(stack({{parse_at, 20}}));
  CHECK(one.innermost(stack({{parse_at, 20}})) == 1);
}

TEST_CASE("of a deep stack the outermost are kept") {
  std::vector<Frame> deep;
  for (u64 i = 0; i < 100; ++i) {
    const auto frame = stack({{0x1000 + i, 16 * i}});
    deep.push_back(frame[0]);
  }
  Activations looks;
  looks.begin(deep);
  looks.keep_common(deep);
  CHECK(looks.innermost(deep) == 99 - 64);
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
