#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "emulator/actions.h"
#include "emulator/guard.h"
#include "test/effects/effects_fixture.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

// As long as it lives, another thread adds 1 to a word again and again.
class Hammer {
 public:
  explicit Hammer(u32& word)
      : thread_([this, &word] {
          while (!__atomic_load_n(&stop_, __ATOMIC_ACQUIRE)) {
            __atomic_fetch_add(&word, 2, __ATOMIC_SEQ_CST);
            ++added_;
          }
        }) {}

  u32 stop() {
    __atomic_store_n(&stop_, true, __ATOMIC_RELEASE);
    thread_.join();
    return 2 * added_;
  }

 private:
  bool stop_ = false;
  u32 added_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("Atomic additions are undone beside a thread that changes the same word") {
  GuestThread guest;
  u32 word = 1000;
  Hammer hammer(word);
  for (int round = 0; round < 200; ++round) {
    for (u32 i = 1; i < 20; ++i) {
      REQUIRE(guest.log().room());
      __atomic_fetch_add(&word, i, __ATOMIC_SEQ_CST);
      REQUIRE(guest.log().action(Action::atomic_add, address_of(&word), i, 4));
    }
    REQUIRE(guest.log().rollback().failed == 0);
  }
  const u32 others = hammer.stop();
  CHECK(word == 1000 + others);
}

TEST_CASE("Atomic bit operations touch nothing but the bits they changed") {
  GuestThread guest;
  u8 byte = 0b0101'0000;
  const u64 address = address_of(&byte);
  byte |= 0b0000'1111;
  REQUIRE(guest.log().action(Action::atomic_set, address, 0b0000'1111, 1));
  byte &= 0b1011'1111;
  REQUIRE(guest.log().action(Action::atomic_clear, address, 0b0100'0000, 1));
  byte ^= 0b0001'0001;
  REQUIRE(guest.log().action(Action::atomic_flip, address, 0b0001'0001, 1));
  byte |= 0b1000'0000;  // somebody else
  CHECK(guest.log().rollback().actions == 3);
  CHECK(byte == 0b1101'0000);
}

TEST_CASE("Atomic operations of every size wrap within their own bytes") {
  GuestThread guest;
  struct {
    u16 half = 0xffff;
    u16 guard = 0x1234;
    u64 word = 5;
  } data;
  ++data.half;
  REQUIRE(guest.log().action(Action::atomic_add, address_of(&data.half), 1, 2));
  data.word -= 7;
  REQUIRE(guest.log().action(Action::atomic_add, address_of(&data.word), static_cast<u64>(-7), 8));
  CHECK(guest.log().rollback().failed == 0);
  CHECK(data.half == 0xffff);
  CHECK(data.guard == 0x1234);
  CHECK(data.word == 5);
}

TEST_CASE("An exchange is undone only while the word still has our value") {
  GuestThread guest;
  u64 ours = 7;
  u64 theirs = 9;  // was 8 by us, then 9 by somebody
  REQUIRE(guest.log().action(Action::atomic_exchange_64, address_of(&ours), 7, 3));
  REQUIRE(guest.log().action(Action::atomic_exchange_64, address_of(&theirs), 8, 4));
  const RollbackResult result = guest.log().rollback();
  CHECK(result.actions == 2);
  CHECK(result.failed == 1);
  CHECK(ours == 3);
  CHECK(theirs == 9);
}

TEST_CASE("A word that somebody has taken is not given away by an older record") {
  GuestThread guest;
  u32 lock = 0;
  // lock (0 to 1), unlock (1 to 0), then another thread locks.
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&lock), 1, 0));
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&lock), 0, 1));
  lock = 1;
  const RollbackResult result = guest.log().rollback();
  CHECK(result.failed == 2);
  CHECK(lock == 1);
}

TEST_CASE("Sixteen-byte exchanges go back") {
  GuestThread guest;
  alignas(16) u64 pair[2] = {30, 40};
  REQUIRE(log_exchange_128(guest.log(), address_of(pair), {10, 20}, {30, 40}));
  CHECK(guest.log().rollback().failed == 0);
  CHECK(pair[0] == 10);
  CHECK(pair[1] == 20);

  REQUIRE(log_exchange_128(guest.log(), address_of(pair), {1, 2}, {10, 21}));
  CHECK(guest.log().rollback().failed == 1);
  CHECK(pair[0] == 10);
  CHECK(pair[1] == 20);
}

TEST_CASE("A low-level lock with a waiter is freed and the waiter woken") {
  GuestThread guest;
  u32 lock = 1;  // taken inside the region
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&lock), 1, 0));
  std::thread waiter([&lock] {
    // glibc's __lll_lock_wait
    while (__atomic_exchange_n(&lock, 2, __ATOMIC_ACQUIRE) != 0) {
      syscall(SYS_futex, &lock, 128, 2, nullptr, nullptr, 0);  // FUTEX_WAIT_PRIVATE
    }
  });
  while (__atomic_load_n(&lock, __ATOMIC_ACQUIRE) != 2) {
    std::this_thread::yield();
  }
  CHECK(guest.log().rollback().failed == 0);
  waiter.join();
  CHECK(lock == 2);  // the waiter's
}

// This thread, and those it makes meanwhile, run on one processor: they take turns, and a thread
// that waits for another goes on when it has given way to it, however busy the machine is.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &here);
    sched_setaffinity(0, sizeof here, &here);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

TEST_CASE("A word that the region gave back is waited for while somebody has it") {
  GuestThread guest;
  u32 lock = 0;
  u64 guarded = 1;
  // exchange 0 to 1; a write under it; a plain store of 0
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&lock), 1, 0));
  REQUIRE(guest.log().save_value<u64>(address_of(&guarded)));
  guarded = 2;
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&lock), 0, 1));
  lock = 1;  // another thread's, which lets go once the rollback has begun
  const OneProcessor shared;
  std::atomic<bool> running = false;
  std::atomic<bool> begun = false;
  std::thread holder([&] {
    running = true;
    while (!begun) {
      std::this_thread::yield();
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  });
  while (!running) {
    std::this_thread::yield();
  }
  begun = true;
  CHECK(guest.log().rollback().failed == 0);
  holder.join();
  CHECK(lock == 0);
  CHECK(guarded == 1);
}

TEST_CASE("Arithmetic leaves a word alone that somebody has exchanged since") {
  GuestThread guest;
  u64 word = 5;
  REQUIRE(guest.log().action(Action::atomic_add, address_of(&word), 5, 8));  // 0 to 5
  REQUIRE(guest.log().action(Action::atomic_exchange_64, address_of(&word), 7, 5));
  word = 9;  // somebody
  CHECK(guest.log().rollback().failed == 2);
  CHECK(word == 9);
}

TEST_CASE("Who sleeps until a word changes is woken by its rollback") {
  GuestThread guest;
  u32 state = 1;  // an initialization that the region has begun
  REQUIRE(guest.log().action(Action::atomic_exchange_32, address_of(&state), 1, 0));
  std::atomic<bool> sleeps{false};
  std::thread sleeper([&] {
    sleeps = true;
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == 1) {
      syscall(SYS_futex, &state, 128, 1, nullptr, nullptr, 0);  // FUTEX_WAIT_PRIVATE
    }
  });
  while (!sleeps) {
    std::this_thread::yield();
  }
  CHECK(guest.log().rollback().failed == 0);
  sleeper.join();
  CHECK(state == 0);
}

TEST_CASE("The program break goes back unless somebody has moved it since") {
  GuestThread guest;
  const u64 before = static_cast<u64>(syscall(SYS_brk, 0));
  const u64 grown = before + 4 * page_size;
  REQUIRE(syscall(SYS_brk, grown) == static_cast<long>(grown));
  REQUIRE(guest.log().action(Action::restore_break, before, grown));
  SECTION("nobody") {
    CHECK(guest.log().rollback().failed == 0);
    CHECK(syscall(SYS_brk, 0) == static_cast<long>(before));
  }
  SECTION("the heap of another thread") {
    REQUIRE(syscall(SYS_brk, grown + page_size) == static_cast<long>(grown + page_size));
    CHECK(guest.log().rollback().failed == 1);
    CHECK(syscall(SYS_brk, 0) == static_cast<long>(grown + page_size));
    syscall(SYS_brk, before);
  }
}

TEST_CASE("Memory shared with another process is undone by value, and that process sees it") {
  GuestThread guest;
  void* shared =
      mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto* words = static_cast<u64*>(shared);
  words[0] = 5;
  REQUIRE(guest.log().save_value<u64>(address_of(&words[0])));
  words[0] = 6;
  REQUIRE(guest.log().action(Action::atomic_add, address_of(&words[1]), 7, 8));
  __atomic_fetch_add(&words[1], 7, __ATOMIC_SEQ_CST);
  const pid_t child = fork();
  if (child == 0) {
    __atomic_fetch_add(&words[1], 100, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&words[0], __ATOMIC_ACQUIRE) != 5) {
    }
    _exit(words[1] == 100 ? 0 : 1);
  }
  while (__atomic_load_n(&words[1], __ATOMIC_ACQUIRE) != 107) {
    std::this_thread::yield();
  }
  CHECK(guest.log().rollback().failed == 0);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  munmap(shared, page_size);
}

TEST_CASE("Vector and mask registers survive a scope around libc calls") {
  alignas(64) u8 before[64];
  alignas(64) u8 after[64] = {};
  for (unsigned i = 0; i < 64; ++i) {
    before[i] = static_cast<u8>(i * 3 + 1);
  }
  // Registers nobody else uses between the two statements: the scope's code is general-purpose
  // only.
  const auto scoped = [&](auto&& load, auto&& clobber, auto&& store) {
    load();
    {
      const VectorScope scope;
      clobber();
    }
    store();
  };
  scoped([&] { asm volatile("movdqu %0, %%xmm13"
                            :
                            : "m"(before)); },
         [] {
           asm volatile("pxor %%xmm13, %%xmm13" : : : "memory");
         },
         [&] { asm volatile("movdqu %%xmm13, %0"
                            : "=m"(after)); });
  CHECK(std::equal(before, before + 16, after));
  if (__builtin_cpu_supports("avx512f")) {
    u16 mask = 0xabc5;
    u16 mask_after = 0;
    scoped(
        [&] {
          asm volatile("vmovdqu64 %0, %%zmm29\n kmovw %1, %%k3" : : "m"(before), "m"(mask));
        },
        [] {
          asm volatile("vpxorq %%zmm29, %%zmm29, %%zmm29\n kxorw %%k3, %%k3, %%k3" ::: "memory");
        },
        [&] {
          asm volatile("vmovdqu64 %%zmm29, %0\n kmovw %%k3, %1" : "=m"(after), "=m"(mask_after));
        });
    CHECK(std::equal(before, before + 64, after));
    CHECK(mask == mask_after);
  }
}
