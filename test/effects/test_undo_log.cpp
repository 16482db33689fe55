#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "emulator/actions.h"
#include "emulator/guard.h"
#include "test/effects/effects_fixture.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

using Generator = std::mt19937_64;

// One store as an interpreter would make it: log, then write.
void random_store(UndoLog& log, Pages& memory, Generator& random) {
  static constexpr u64 sizes[] = {1, 2, 4, 8, 16, 32, 64, 3, 13, 96, 97, 200, 4096, 9000};
  const unsigned kind = random() % 18;
  const u64 size = sizes[kind < 14 ? kind : kind % 4];
  const u64 address = memory.address() + random() % (memory.size() - size);
  bool kept = false;
  switch (kind) {
    case 14:
      kept = log.save_value<u8>(address);
      break;
    case 15:
      kept = log.save_value<u16>(address);
      break;
    case 16:
      kept = log.save_value<u32>(address);
      break;
    case 17:
      kept = log.save_value<u64>(address);
      break;
    default:
      kept = log.save(address, size);
  }
  REQUIRE(kept);
  const u64 written = kind < 14 ? size : u64{1} << (kind - 14);
  for (u64 i = 0; i < written; ++i) {
    *pointer_to<u8>(address + i) = static_cast<u8>(random());
  }
}

void fill(Pages& memory, Generator& random) {
  for (u64 i = 0; i < memory.size(); ++i) {
    memory.data()[i] = static_cast<u8>(random());
  }
}

}  // namespace

TEST_CASE("A rollback gives back every byte, also where records overlap") {
  const u64 seed = random_seed();
  INFO("SELFHEAL_SEED=" << seed);
  Generator random(seed);
  GuestThread guest;
  Pages memory(8);
  fill(memory, random);
  for (int round = 0; round < 30; ++round) {
    const std::vector<u8> before = memory.copy();
    const int stores = static_cast<int>(random() % 400);
    for (int i = 0; i < stores; ++i) {
      random_store(guest.log(), memory, random);
    }
    const RollbackResult result = guest.log().rollback();
    REQUIRE(result.failed == 0);
    REQUIRE(result.actions == 0);
    REQUIRE(memory.copy() == before);
    REQUIRE(guest.log().empty());
  }
}

TEST_CASE("A commit keeps what was written and empties the log") {
  GuestThread guest;
  Pages memory(1);
  REQUIRE(guest.log().save(memory.address(), 8));
  memory.data()[0] = 42;
  REQUIRE_FALSE(guest.log().empty());
  guest.log().commit();
  CHECK(guest.log().empty());
  CHECK(guest.log().used() == 0);
  CHECK(guest.log().rollback().bytes == 0);
  CHECK(memory.data()[0] == 42);
}

TEST_CASE("A rollback counts the bytes it restores") {
  GuestThread guest;
  Pages memory(4);
  REQUIRE(guest.log().save(memory.address(), 3));
  REQUIRE(guest.log().save_value<u16>(memory.address() + 100));
  REQUIRE(guest.log().save(memory.address() + 200, 10'000));
  CHECK(guest.log().rollback().bytes == 10'005);
}

TEST_CASE("A full log says so, keeps nothing of the refused store, and can still roll back") {
  GuestThread guest(4 * page_size);
  Pages memory(4);
  memory.data()[0] = 1;
  REQUIRE(guest.log().save_value<u8>(memory.address()));
  memory.data()[0] = 2;

  CHECK_FALSE(guest.log().save(memory.address(), 4 * page_size));
  u64 stores = 0;
  while (guest.log().save_value<u64>(memory.address() + 8 + 16 * stores)) {
    ++stores;
  }
  CHECK(stores > 500);
  const u64 used = guest.log().used();
  CHECK_FALSE(guest.log().save(memory.address(), 64));
  CHECK_FALSE(guest.log().action(Action::atomic_add, memory.address(), 1, 8));
  CHECK_FALSE(guest.log().defer(Deferred::free_memory, 0));
  CHECK_FALSE(guest.log().room());
  CHECK(guest.log().used() == used);
  CHECK(guest.log().rollback().bytes == 8 * stores + 1);
  CHECK(memory.data()[0] == 1);
}

TEST_CASE("A buffer filled bit by bit costs its size, filled again it costs nothing") {
  GuestThread guest;
  Pages memory(4);
  const std::vector<u8> before = memory.copy();
  const auto fill_by = [&](auto value) {
    for (u64 i = 0; i < 1000; i += sizeof value) {
      REQUIRE(guest.log().save_value<decltype(value)>(memory.address() + 3 + i));
      __builtin_memset(memory.data() + 3 + i, 0x77, sizeof value);
    }
  };
  fill_by(u64{});
  CHECK(guest.log().used() <= 1032);
  fill_by(u64{});
  CHECK(guest.log().used() <= 1032);
  fill_by(u8{});
  CHECK(guest.log().used() <= 2064);
  CHECK(guest.log().rollback().bytes == 2000);
  CHECK(memory.copy() == before);
}

TEST_CASE("What was kept before an action, a mark or the last region is kept again after it") {
  GuestThread guest;
  Pages memory(1);
  auto* word = pointer_to<u64>(memory.address());
  u64 other = 0;
  const auto put = [&](u64 value) {
    REQUIRE(guest.log().save_value<u64>(memory.address()));
    *word = value;
  };
  put(1);
  guest.log().commit();
  put(2);
  SECTION("an action that others can see must be undone with memory as it was then") {
    REQUIRE(guest.log().action(Action::atomic_exchange_64, memory.address(), 3, 2));
    *word = 3;
    put(4);
    REQUIRE(guest.log().action(Action::atomic_add, address_of(&other), 5, 8));
    put(5);
    put(6);
    const RollbackResult result = guest.log().rollback();
    CHECK(result.bytes == 24);
    CHECK(result.failed == 0);
    CHECK(other == static_cast<u64>(-5));
  }
  SECTION("a mark") {
    const u64 mark = guest.log().mark();
    put(7);
    guest.log().back_to(mark);
    CHECK(*word == 2);
    put(8);
    put(9);
    guest.log().back_to(mark);
    CHECK(*word == 2);
    guest.log().rollback();
  }
  CHECK(*word == 1);
}

TEST_CASE("The table of what was kept recently survives its epochs") {
  GuestThread guest;
  Pages memory(1);
  auto* word = pointer_to<u64>(memory.address());
  for (u64 round = 0; round < 20'000; ++round) {
    *word = round;
    REQUIRE(guest.log().save_value<u64>(memory.address()));
    *word = ~round;
    REQUIRE(guest.log().rollback().bytes == 8);
    REQUIRE(*word == round);
  }
}

TEST_CASE("A plain store to a word changed atomically is known, and to no other") {
  GuestThread guest;
  std::vector<u64> words(1000);
  REQUIRE(guest.log().action(Action::atomic_add, address_of(&words[500]), 1, 8));
  REQUIRE(guest.log().action(Action::none, 0));
  for (u64 i = 0; i < words.size(); ++i) {
    REQUIRE(guest.log().changed_atomically(address_of(&words[i])) == (i == 500));
  }
  words[500] = 1;
  CHECK(guest.log().rollback().failed == 0);
  CHECK_FALSE(guest.log().changed_atomically(address_of(&words[500])));
}

TEST_CASE("A store that was logged but could not be made, on read-only memory, needs no undoing") {
  GuestThread guest;
  Pages memory(3);
  auto* last = memory.data() + page_size - 4;
  REQUIRE(guest.log().save(address_of(last), page_size + 8));
  __builtin_memset(last, 0x77, 4);
  REQUIRE(mprotect(memory.data() + page_size, 2 * page_size, PROT_READ) == 0);
  SECTION("nothing of it was written") {
    const RollbackResult result = guest.log().rollback();
    CHECK(result.failed == 0);
    CHECK(result.bytes == 4);
  }
  SECTION("a page in the middle cannot be restored: the others are") {
    REQUIRE(mprotect(memory.data() + page_size, page_size, PROT_READ | PROT_WRITE) == 0);
    __builtin_memset(memory.data() + page_size, 0x77, page_size);
    REQUIRE(mprotect(memory.data() + page_size, page_size, PROT_READ) == 0);
    REQUIRE(mprotect(memory.data() + 2 * page_size, page_size, PROT_READ | PROT_WRITE) == 0);
    memory.data()[2 * page_size] = 0x77;
    CHECK(guest.log().rollback().failed == 1);
    CHECK(memory.data()[2 * page_size] == 0);
  }
  CHECK(last[0] == 0);
  CHECK(last[3] == 0);
}

TEST_CASE("Bytes saved from a page that cannot be read leave the log as it was") {
  GuestThread guest;
  Pages memory(2);
  REQUIRE(mprotect(memory.data() + page_size, page_size, PROT_NONE) == 0);
  struct Request {
    UndoLog& log;
    u64 address;
  } request{guest.log(), memory.address() + page_size - 100};
  const bool completed = guarded_call(
      *guest,
      [](void* argument) {
        auto& [log, address] = *static_cast<Request*>(argument);
        static_cast<void>(log.save(address, 300));
      },
      &request);
  CHECK_FALSE(completed);
  CHECK(guest.log().empty());
  CHECK_FALSE(guest->escaped);
  CHECK(guest->state == ThreadState::running);
}

TEST_CASE("A page unmapped by somebody else is counted; everything else is restored") {
  GuestThread guest;
  Pages kept(1);
  auto gone = std::make_unique<Pages>(1);
  kept.data()[10] = 'a';
  REQUIRE(guest.log().save_value<u8>(kept.address() + 10));
  kept.data()[10] = 'b';
  REQUIRE(guest.log().save(gone->address(), 100));
  REQUIRE(guest.log().save_value<u8>(kept.address() + 11));
  kept.data()[11] = 'c';
  gone.reset();
  const RollbackResult result = guest.log().rollback();
  CHECK(result.failed == 1);
  CHECK(result.bytes == 2);
  CHECK(kept.data()[10] == 'a');
  CHECK(kept.data()[11] == 0);
}

TEST_CASE("Memory made read-only after it was written is made writable to restore it") {
  GuestThread guest;
  Pages touched(1);
  Pages untouched(1);
  touched.data()[0] = 'a';
  REQUIRE(guest.log().save_value<u8>(touched.address()));
  touched.data()[0] = 'b';
  for (Pages* pages : {&touched, &untouched}) {
    REQUIRE(guest.log().action(Action::make_writable, pages->address(), page_size));
    REQUIRE(mprotect(pages->data(), page_size, PROT_READ) == 0);
  }
  const RollbackResult result = guest.log().rollback();
  CHECK(result.failed == 0);
  CHECK(result.actions == 1);  // the other one is left as it is: nothing there to restore
  CHECK(touched.data()[0] == 'a');
}

TEST_CASE("A cancelled action is the newest that equals, and is not run") {
  GuestThread guest;
  Pages memory(1);
  auto* words = pointer_to<u64>(memory.address());
  words[0] = 10;
  words[1] = 20;
  const u64 first = address_of(&words[0]);
  const u64 second = address_of(&words[1]);
  REQUIRE(guest.log().action(Action::atomic_add, first, 1, 8));
  REQUIRE(guest.log().action(Action::atomic_add, second, 2, 8));
  REQUIRE(guest.log().action(Action::atomic_add, first, 3, 8));
  u64 operand = 0;
  CHECK(guest.log().find(Action::atomic_add, first, &operand));
  CHECK(operand == 3);
  CHECK(guest.log().cancel(Action::atomic_add, first));
  CHECK_FALSE(guest.log().cancel(Action::atomic_flip, first));
  CHECK(guest.log().rollback().actions == 2);
  CHECK(words[0] == 9);
  CHECK(words[1] == 18);
}

TEST_CASE("Bytes and actions are undone in one order") {
  GuestThread guest;
  Pages memory(1);
  auto* word = pointer_to<u64>(memory.address());
  const u64 address = memory.address();
  *word = 5;
  *word += 7;  // an atomic add
  REQUIRE(guest.log().action(Action::atomic_add, address, 7, 8));
  REQUIRE(guest.log().save_value<u64>(address));
  *word = 100;  // a plain store
  *word -= 1;   // an atomic decrement
  REQUIRE(guest.log().action(Action::atomic_add, address, static_cast<u64>(-1), 8));
  CHECK(guest.log().rollback().actions == 2);
  CHECK(*word == 5);
}

TEST_CASE("A big log gives its memory back after the commit") {
  constexpr u64 log_size = u64{64} << 20;
  GuestThread guest(log_size);
  Pages memory(256);
  const auto resident = [&] {
    std::vector<unsigned char> map(log_size / page_size);
    REQUIRE(mincore(pointer_to<void>(guest->memory), log_size, map.data()) == 0);
    u64 count = 0;
    for (const unsigned char page : map) {
      count += page & 1U;
    }
    return count * page_size;
  };
  const auto big_region = [&] {
    for (int i = 0; i < 40; ++i) {
      REQUIRE(guest.log().save(memory.address(), memory.size()));
    }
    CHECK(resident() > u64{40} << 20);
    guest.log().commit();
  };
  big_region();
  CHECK(resident() < u64{2} << 20);
  // A second one in a row keeps its memory, for a third; the first small one gives it back.
  big_region();
  CHECK(resident() > u64{40} << 20);
  REQUIRE(guest.log().save(memory.address(), 8));
  guest.log().rollback();
  CHECK(resident() < u64{2} << 20);
}

TEST_CASE("A fault leaves guarded calls one by one, inner first") {
  GuestThread guest;
  struct State {
    Thread& thread;
    bool inner;
    int steps;
    u64 nowhere;
  } state{*guest, true, 0, 8};
  const bool outer = guarded_call(
      *guest,
      [](void* argument) {
        auto& outer_state = *static_cast<State*>(argument);
        outer_state.inner = guarded_call(
            outer_state.thread,
            [](void* inner_argument) {
              ++static_cast<State*>(inner_argument)->steps;
              *pointer_to<volatile u8>(static_cast<State*>(inner_argument)->nowhere) = 1;
              ++static_cast<State*>(inner_argument)->steps;
            },
            argument);
        ++outer_state.steps;
      },
      &state);
  CHECK(outer);
  CHECK_FALSE(state.inner);
  CHECK(state.steps == 2);
}

TEST_CASE(
    "Memory that was given away keeps what was written before, and loses what was written after") {
  GuestThread guest;
  UndoLog& log = guest.log();
  Pages memory(3);
  u8* const bytes = memory.data();
  for (u64 i = 0; i < memory.size(); ++i) {
    bytes[i] = 1;
  }
  const u64 begin = memory.address() + 100;
  const u64 end = memory.address() + page_size + 50;
  // One record that reaches over both ends, and a word inside changed by an atomic.
  REQUIRE(log.save(memory.address(), memory.size()));
  for (u64 i = 0; i < memory.size(); ++i) {
    bytes[i] = 2;
  }
  REQUIRE(log.action(Action::atomic_add, begin + 60, 1, 1));
  ++bytes[160];
  log.give_away(begin, end);
  REQUIRE(log.save_value<u8>(begin));
  bytes[100] = 9;
  const RollbackResult result = log.rollback();
  CHECK(result.failed == 0);
  for (u64 i = 0; i < memory.size(); ++i) {
    const u64 at = memory.address() + i;
    const u8 expected = at < begin || at >= end ? 1 : i == 160 ? 3 : 2;
    INFO(i);
    REQUIRE(bytes[i] == expected);
  }
}

TEST_CASE("What is given away takes its mapping along") {
  GuestThread guest;
  UndoLog& log = guest.log();
  Pages memory(2);
  REQUIRE(log.action(Action::unmap, memory.address(), memory.size()));
  REQUIRE(log.save_value<u8>(memory.address() + 5));
  memory.data()[5] = 7;
  log.give_away(memory.address() + page_size, memory.address() + page_size + 1);
  CHECK(log.rollback().failed == 0);
  CHECK(memory.data()[5] == 7);
}
