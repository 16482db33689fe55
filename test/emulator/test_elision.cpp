// Which stores to stacks go to the undo log: all but those to the region's own new frames.
#include <catch2/catch.hpp>
#include <vector>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;
using host::session;

extern "C" {
u64 elision_own_frames(u64 size);
u64 elision_other_stack(u8* stack);
u64 elision_near_stack(u64);
u64 elision_callers_frame(u64);
}

namespace {

void always_roll_back() {
  host::start();
  session.roll_back_always = true;
}

}  // namespace

TEST_CASE("new frames, alloca, pushes and the red zone are not logged") {
  always_roll_back();
  for (const u64 size : {u64{64}, u64{1024}, u64{100'000}}) {
    host::call(elision_own_frames, size);
    CHECK(session.outcome.stop == Stop::returned);
    CHECK(session.undone.bytes == 0);
  }
}

TEST_CASE(
    "another stack is logged, above and below its pointer, whatever arithmetic is done on it") {
  always_roll_back();
  std::vector<u8> stack(4096, 0x11);
  const std::vector<u8> before = stack;
  host::call(elision_other_stack, stack.data());
  CHECK(session.outcome.stop == Stop::returned);
  CHECK(session.undone.bytes == 8 + 4 + 8 + 4);  // the last push is where the first was
  CHECK(stack == before);
}

TEST_CASE("what lies above the pointer of a stack close below this one is logged") {
  always_roll_back();
  host::call(elision_near_stack, u64{0});
  CHECK(session.outcome.stop == Stop::returned);
  // The push is below that pointer, and dead afterwards.
  CHECK(session.undone.bytes == 3 * 8);
}

TEST_CASE("the caller's frame is logged, the return address too") {
  always_roll_back();
  host::call(elision_callers_frame, u64{0});
  CHECK(session.outcome.stop == Stop::returned);
  CHECK(session.undone.failed == 0);
  CHECK(session.undone.bytes >= 8 + 8 + 8);
}
