#include <catch2/catch.hpp>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <execinfo.h>
#include <pthread.h>
#include <random>
#include <sys/mman.h>
#include <vector>

#include "lib/recover/unwind.h"
#include "test/recover/machine_context.h"

using namespace selfheal;

namespace {

// What libgcc's unwinder says, from this function's caller outwards.
std::vector<u64> expected;

__attribute__((noinline)) unsigned walk_here(std::span<recover::Frame> frames) {
  void* addresses[64];
  const int count = backtrace(addresses, 64);
  expected.clear();
  for (int i = 0; i < count; ++i) {
    expected.push_back(address_of(addresses[i]));
  }
  ucontext_t context;
  getcontext(&context);
  return test::frames_above(context, frames);
}

void compare_with_libgcc(std::span<const recover::Frame> frames) {
  // AddressSanitizer wraps backtrace(), which is one frame more inside.
  REQUIRE(expected.size() - frames.size() <= 1);
  const size_t wrapped = expected.size() - frames.size();
  for (size_t i = 1; i < frames.size(); ++i) {
    INFO("frame " << i);
    CHECK(frames[i].registers.rip == expected[i + wrapped]);
    CHECK(frames[i].registers.gpr[rsp] > frames[i - 1].registers.gpr[rsp]);
  }
}

recover::Frame frames_in_handler[64];
unsigned count_in_handler;
recover::Frame frames_of_context[64];
unsigned count_of_context;

void on_signal(int, siginfo_t*, void* context) {
  count_of_context = test::frames_above(*static_cast<ucontext_t*>(context), frames_of_context);
  count_in_handler = walk_here(frames_in_handler);
}

// A function that is certainly called from here, so that its return address is ours.
__attribute__((noinline)) void call_it(void (*target)()) {
  target();
  asm volatile("" ::: "memory");
}

sigjmp_buf* escape;

void leave(int, siginfo_t*, void* context) {
  count_of_context = test::frames_above(*static_cast<ucontext_t*>(context), frames_of_context);
  siglongjmp(*escape, 1);
}

}  // namespace

TEST_CASE("a walk from here gives the return addresses that libgcc's unwinder gives", "[unwind]") {
  recover::Frame frames[64];
  const unsigned count = walk_here(frames);
  compare_with_libgcc({frames, count});
  CHECK(frames[0].exact);
  CHECK_FALSE(frames[1].exact);
}

TEST_CASE("a walk may be cut to few frames", "[unwind]") {
  recover::Frame frames[3];
  CHECK(walk_here(frames) == 3);
  CHECK(walk_here({frames, 1}) == 1);
  CHECK(walk_here({frames, 0}) == 0);
}

TEST_CASE("a walk out of a signal handler goes on exactly where the signal hit", "[unwind]") {
  struct sigaction action {};
  struct sigaction old {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, &old);
  raise(SIGUSR1);
  sigaction(SIGUSR1, &old, nullptr);
  compare_with_libgcc({frames_in_handler, count_in_handler});
  unsigned interrupted = 0;
  for (unsigned i = 1; i < count_in_handler; ++i) {
    interrupted = frames_in_handler[i].exact ? i : interrupted;
  }
  REQUIRE(interrupted != 0);
  REQUIRE(count_in_handler - interrupted == count_of_context);
  CHECK(frames_in_handler[interrupted].known == 0xffff);
  for (unsigned i = 0; i < count_of_context; ++i) {
    const auto& a = frames_in_handler[interrupted + i].registers;
    const auto& b = frames_of_context[i].registers;
    CHECK(a.rip == b.rip);
    CHECK(a.gpr[rsp] == b.gpr[rsp]);
    CHECK(a.gpr[rbx] == b.gpr[rbx]);
    CHECK(a.gpr[r15] == b.gpr[r15]);
  }
}

TEST_CASE("after a call through a bad pointer the caller is on top of the stack", "[unwind]") {
  struct sigaction action {};
  struct sigaction old {};
  action.sa_sigaction = leave;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &old);
  // NULL, and mapped memory that is not code.
  alignas(64) static u8 not_code[64];
  for (const u64 target : {u64{0}, address_of(not_code)}) {
    sigjmp_buf here;
    escape = &here;
    count_of_context = 0;
    if (sigsetjmp(here, 1) == 0) {
      call_it(pointer_to<void()>(target));
    }
    REQUIRE(count_of_context >= 3);
    CHECK(frames_of_context[0].registers.rip == target);
    const u64 caller = frames_of_context[1].registers.rip;
    CHECK(caller - address_of_function(&call_it) < 64);
  }
  sigaction(SIGSEGV, &old, nullptr);
}

TEST_CASE("no damage to the stack makes a walk fault or leave the bounds", "[unwind]") {
  // The real registers of a deep call, on a copy of its stack with random words changed. The bounds
  // end at the copy, and the page behind it cannot be read.
  recover::Frame frames[64];
  ucontext_t context;
  getcontext(&context);
  const Registers real = test::registers_of(context);
  const recover::StackBounds bounds = test::own_stack();
  const u64 low = real.gpr[rsp];
  const u64 size = page_up(bounds.high - low);
  auto* memory = static_cast<u8*>(
      mmap(nullptr, size + 2 * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(memory != MAP_FAILED);
  u8* copy = memory + page_size;
  REQUIRE(mprotect(copy, size, PROT_READ | PROT_WRITE) == 0);
  const u64 moved = address_of(copy) - low;
  const unsigned seed = 4711;
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  unsigned longest = 0;
  for (int round = 0; round < 3000; ++round) {
    for (u64 at = 0; at + 8 <= bounds.high - low; at += 8) {
      u64 word = 0;
      recover::load(bounds, low + at, word);
      word += word - low < size ? moved : 0;  // pointers into the stack move along
      std::memcpy(copy + at, &word, sizeof word);
    }
    Registers start = real;
    start.gpr[rsp] += moved;
    start.gpr[rbp] += start.gpr[rbp] - low < size ? moved : 0;
    const unsigned changes = round == 0 ? 0 : 1 + random() % 40;
    for (unsigned i = 0; i < changes; ++i) {
      const u64 value = random() % 3 == 0 ? random() : address_of(copy) + random() % size;
      std::memcpy(copy + random() % 256 * 8, &value, sizeof value);
    }
    if (round % 5 == 4) {
      start.gpr[rbp] = random();
    }
    if (round % 7 == 6) {
      start.gpr[rsp] = address_of(copy) + random() % size;
    }
    const unsigned count =
        recover::unwind(start, {address_of(copy), address_of(copy) + (bounds.high - low)}, frames);
    longest = round == 0 ? count : longest;
    REQUIRE(count >= 1);
  }
  CHECK(longest > 5);  // the undamaged copy was walked
  munmap(memory, size + 2 * page_size);
}
