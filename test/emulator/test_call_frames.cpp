// Overwritten return addresses and canaries are seen when it happens; what only looks like it is
// not (emulator/call_frames.h).
#include <catch2/catch.hpp>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;
using host::session;

extern "C" {
u64 guest_overflow(const u8*, u64);
u64 guest_overflow_bare(const u8*, u64);
u64 guest_overflow_by_string(const u8*, u64);
u64 guest_overflow_by_kernel(int, u64);
u64 guest_overflow_word(u64, u64);
u64 guest_tail_call(u64);
u64 guest_deep(u64);
u64 guest_seven();
u64 guest_retpoline(u64 (*)());
u64 guest_exchange(u64 (*)());
u64 guest_push_return(u64 (*)());
u64 guest_call_pop(u64);
u64 guest_drop_call(u64);
u64 guest_spill(u64, u64);
u64 guest_coroutine(u64);
}

namespace {

constexpr u64 refused = 0xdead;

void start() {
  host::start();
  session.after_fault = host::AfterFault::roll_back_and_return;
  session.virtual_value = refused;
}

bool overwrote() {
  return session.outcome.stop == Stop::fault && session.fault.kind == FaultKind::stack_overwrite &&
         session.fault.access == Access::write && session.fault.signal == 0;
}

// The shortest input that is refused.
template <typename F>
u64 first_refused(F overflow) {
  for (u64 n = 1; n < 200; ++n) {
    if (overflow(n) == refused) {
      return n;
    }
    REQUIRE(session.outcome.stop == Stop::returned);
  }
  return 0;
}

const std::vector<u8> data(256, 'A');

}  // namespace

TEST_CASE("an overflow stops before the canary") {
  start();
  const u64 n =
      first_refused([](u64 size) { return host::call(guest_overflow, data.data(), size); });
  REQUIRE(overwrote());
  REQUIRE(n >= 17);
  REQUIRE(n <= 25);
  // The word is the canary: nothing above the buffer but it has this value.
  u64 canary;
  asm("mov %%fs:0x28, %0" : "=r"(canary));
  REQUIRE(*pointer_to<const u64>(session.fault.address) != 0x4141414141414141);
  REQUIRE(session.fault.address < session.guest.gpr[rsp] + 256);
  REQUIRE(canary != 0);
}

TEST_CASE("an overflow of a function without a canary stops before the return address") {
  start();
  const u64 n =
      first_refused([](u64 size) { return host::call(guest_overflow_bare, data.data(), size); });
  REQUIRE(overwrote());
  REQUIRE(n >= 17);
  REQUIRE(n <= 64);
}

TEST_CASE("a string instruction is stopped at a return address, with its registers as they were") {
  start();
  const u64 n = first_refused(
      [](u64 size) { return host::call(guest_overflow_by_string, data.data(), size); });
  REQUIRE(overwrote());
  REQUIRE(session.guest.gpr[rcx] == n);
}

TEST_CASE("what the kernel wrote onto a return address is seen behind the system call") {
  start();
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const auto send = [&](u64 n) { REQUIRE(write(ends[1], data.data(), n) == static_cast<long>(n)); };
  send(16);
  REQUIRE(host::call(guest_overflow_by_kernel, ends[0], u64{200}) == 16);
  send(200);
  REQUIRE(host::call(guest_overflow_by_kernel, ends[0], u64{200}) == refused);
  REQUIRE(overwrote());
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("a word stored far behind an array onto the return address is seen") {
  start();
  const u64 index = first_refused(
      [](u64 i) { return host::call(guest_overflow_word, i, u64{0x4141414141414141}); });
  REQUIRE(overwrote());
  REQUIRE(index <= 6);
  // The address of a function instead: let through, as the unwinder writes such, but not returned
  // to.
  REQUIRE(host::call(guest_overflow_word, index, address_of_function(&guest_seven)) == refused);
  REQUIRE(session.outcome.stop == Stop::fault);
  REQUIRE(session.fault.kind == FaultKind::return_mismatch);
  REQUIRE(session.fault.address == address_of_function(&guest_seven));
}

TEST_CASE("retpolines, exchanges and pushes that make a jump of a return go on") {
  start();
  for (auto* idiom : {guest_retpoline, guest_exchange, guest_push_return}) {
    REQUIRE(host::call(idiom, guest_seven) == 7);
    REQUIRE(session.outcome.stop == Stop::returned);
  }
}

TEST_CASE("the place of a return address that was popped is memory like any other") {
  start();
  REQUIRE(host::call(guest_call_pop, u64{5}) == 5);
  REQUIRE(session.outcome.stop == Stop::returned);
  REQUIRE(host::call(guest_drop_call, u64{6}) == 6);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("the canary of a frame left by a tail call is memory like any other") {
  start();
  for (u64 n = 1; n <= 400; n += 7) {
    REQUIRE(host::call(guest_tail_call, n) == static_cast<u8>(n - 1));
    REQUIRE(session.outcome.stop == Stop::returned);
  }
}

TEST_CASE("a word that happens to hold the canary's value is memory like any other") {
  start();
  u64 canary;
  asm("mov %%fs:0x28, %0" : "=r"(canary));
  REQUIRE(host::call(guest_spill, canary, u64{7}) == 7);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("the stack of a coroutine that was left is memory like any other") {
  start();
  REQUIRE(host::call(guest_coroutine, u64{8}) == 8);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("a recursion deeper than what is remembered goes on") {
  start();
  REQUIRE(host::call(guest_deep, u64{20000}) == 20000);
  REQUIRE(session.outcome.stop == Stop::returned);
}
