#include <catch2/catch.hpp>
#include <cstring>
#include <linux/seccomp.h>
#include <memory>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>

#include "lib/base/raw_syscall.h"
#include "lib/store/budget.h"
#include "lib/store/promote.h"
#include "lib/store/shared.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

// Runs `body` in a child and returns its wait status.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("a recorded fault and a recorded heal are read back byte for byte") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  const FaultRecord fault = fault_in(0x1000);
  const HealRecord heal = heal_in(0x2000);
  REQUIRE(store->journal.record_fault(fault) == Recorded::yes);
  REQUIRE(store->journal.record_heal(heal) == Recorded::yes);

  Slot slot;
  REQUIRE(store->journal.read(0, slot) == SlotView::fault);
  CHECK(slot.number == 0);
  CHECK(memcmp(&slot.fault, &fault, sizeof fault) == 0);
  REQUIRE(store->journal.read(1, slot) == SlotView::heal);
  CHECK(memcmp(&slot.heal, &heal, sizeof heal) == 0);
  CHECK(store->journal.faults_sealed() == 1);
  CHECK(store->journal.heals_sealed() == 1);
}

TEST_CASE("what a process recorded is still there after it was killed") {
  const Folder folder;
  const int status = in_child([&] {
    OpenStore store(folder.path());
    store->journal.record_fault(fault_in(0x1000));
    raise(SIGKILL);
  });
  REQUIRE(WIFSIGNALED(status));
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  CHECK(views_of(store->journal).faults == 1);
}

TEST_CASE("recording needs no system call and no descriptor: it works in the strictest sandbox") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  const FaultRecord fault = fault_in(0x1000);
  const HealRecord heal = heal_in(0x1000);
  const int status = in_child([&] {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_FSIZE, &none);
    close_range(3, ~0U, 0);
    // Any system call but read, write, exit and rt_sigreturn kills from here on.
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    const bool in = store->journal.record_fault(fault) == Recorded::yes &&
                    store->journal.record_heal(heal) == Recorded::yes &&
                    budget_spend(store->journal, 1, 0, fault.time_ns).this_minute == 1;
    raw_syscall(SYS_exit, in ? 0 : 1);
  });
  CHECK(status == 0);
  CHECK(views_of(store->journal).faults == 1);
  CHECK(views_of(store->journal).heals == 1);
}

TEST_CASE("two processes and their threads that record at once all get in") {
  const Folder folder;
  OpenStore store(folder.path(), 1024);
  REQUIRE(store.opened);
  constexpr unsigned each = 60;
  auto record = [&](u64 who) {
    for (unsigned i = 0; i < each; ++i) {
      store->journal.record_fault(fault_in(who << 20 | i));
    }
  };
  pid_t children[2];
  for (u64 c = 0; c < 2; ++c) {
    children[c] = fork();
    if (children[c] == 0) {
      std::thread other(record, 2 * c);
      record(2 * c + 1);
      other.join();
      _exit(0);
    }
  }
  for (const pid_t child : children) {
    waitpid(child, nullptr, 0);
  }
  CHECK(views_of(store->journal).faults == 4 * each);
  CHECK(store->journal.faults_sealed() == 4 * each);

  std::vector<bool> numbers(4 * each);
  std::vector<u64> entries;
  for (u32 i = 0; i < store->journal.slot_count(); ++i) {
    Slot slot;
    if (store->journal.read(i, slot) == SlotView::fault) {
      REQUIRE(slot.number < numbers.size());
      CHECK_FALSE(numbers[slot.number]);
      numbers[slot.number] = true;
      entries.push_back(slot.fault.region.entry.offset);
    }
  }
  std::sort(entries.begin(), entries.end());
  CHECK(std::unique(entries.begin(), entries.end()) == entries.end());
}

TEST_CASE("a process killed in the middle of a record leaves a torn slot that readers skip") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  // The record lies half in a page that cannot be read: the copy into the slot dies in the middle.
  const int status = in_child([&] {
    auto* memory = static_cast<u8*>(
        mmap(nullptr, 2 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    auto* record = reinterpret_cast<FaultRecord*>(memory + page_size - 512);
    *record = fault_in(0x1000, realtime_now());
    mprotect(memory + page_size, page_size, PROT_NONE);
    signal(SIGSEGV, [](int) { raise(SIGKILL); });
    store->journal.record_fault(*record);
  });
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGKILL);

  Views views = views_of(store->journal);
  CHECK(views.torn == 1);
  CHECK(views.faults == 0);
  CHECK(store->journal.faults_sealed() == 0);
  REQUIRE(store->journal.record_fault(fault_in(0x2000)) == Recorded::yes);

  Error error;
  const Promotion promotion = promote(store.store, error);
  CHECK(promotion.torn == 1);
  CHECK(promotion.new_entries == 1);
  CHECK(views_of(store->journal).free == store->journal.slot_count());
}

TEST_CASE("a slot being written by a live process is busy and is left alone") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  auto* words = reinterpret_cast<u64*>(static_cast<u8*>(store->journal.memory()) + header_size);
  words[3] = slot_word(SlotState::reserved, static_cast<u32>(getpid()), realtime_now());
  CHECK(views_of(store->journal).busy == 1);
  Error error;
  promote(store.store, error);
  CHECK(views_of(store->journal).busy == 1);

  SECTION("until it is older than any write can be") {
    words[3] = slot_word(SlotState::reserved, static_cast<u32>(getpid()),
                         realtime_now() - 100'000'000'000);
    CHECK(views_of(store->journal).torn == 1);
  }
  SECTION("or pretends to come from the future") {
    words[3] = slot_word(SlotState::reserved, static_cast<u32>(getpid()),
                         realtime_now() + 3600'000'000'000);
    CHECK(views_of(store->journal).torn == 1);
  }
}

TEST_CASE("a full journal drops the newest record and counts it") {
  const Folder folder;
  OpenStore store(folder.path(), 8);
  REQUIRE(store.opened);
  for (u64 i = 0; i < 8; ++i) {
    REQUIRE(store->journal.record_fault(fault_in(0x1000 + i)) == Recorded::yes);
  }
  CHECK(store->journal.record_fault(fault_in(0x9000)) == Recorded::full);
  CHECK(store->journal.record_heal(heal_in(0x9000)) == Recorded::full);
  CHECK(store->journal.dropped_faults() == 1);
  CHECK(store->journal.dropped_heals() == 1);
  CHECK(store->journal.faults_sealed() == 8);
  for (u32 i = 0; i < 8; ++i) {
    Slot slot;
    REQUIRE(store->journal.read(i, slot) == SlotView::fault);
    CHECK(slot.fault.region.entry.offset < 0x9000);
  }
}

TEST_CASE("heals cannot starve faults: the last quarter is not theirs") {
  const Folder folder;
  OpenStore store(folder.path(), 16);
  REQUIRE(store.opened);
  for (int i = 0; i < 100; ++i) {
    store->journal.record_heal(heal_in(0x1000));
  }
  CHECK(views_of(store->journal).heals == 12);
  CHECK(store->journal.dropped_heals() == 88);
  for (u64 i = 0; i < 4; ++i) {
    CHECK(store->journal.record_fault(fault_in(0x1000 + i)) == Recorded::yes);
  }
  CHECK(store->journal.record_fault(fault_in(0x2000)) == Recorded::full);
}

TEST_CASE("a journal that is not there, or is mapped read-only, takes no records") {
  Journal none;
  CHECK(none.record_fault(fault_in(1)) == Recorded::not_mapped);
  CHECK(none.faults_sealed() == 0);

  const Folder folder;
  { OpenStore make(folder.path()); }
  OpenRequest request;
  request.path = folder.path().c_str();
  request.read_only = true;
  Store store;
  Error error;
  REQUIRE(open_store(request, store, error));
  CHECK(store.journal.record_heal(heal_in(1)) == Recorded::not_mapped);
  close_store(store);
}

TEST_CASE("a signal handler may record while the thread it stopped is recording") {
  const Folder folder;
  OpenStore store(folder.path(), 1024);
  REQUIRE(store.opened);
  static Journal* journal = nullptr;
  static u64 recorded_in_handler = 0;
  journal = &store->journal;
  recorded_in_handler = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) {
    if (recorded_in_handler < 200) {
      recorded_in_handler += journal->record_fault(fault_in(0x7000)) == Recorded::yes ? 1 : 0;
    }
  };
  struct sigaction old = {};
  sigaction(SIGUSR1, &action, &old);
  const pthread_t self = pthread_self();
  std::thread other([&] {
    for (int i = 0; i < 200; ++i) {
      pthread_kill(self, SIGUSR1);
    }
  });
  u64 recorded = 0;
  for (int i = 0; i < 400; ++i) {
    recorded += store->journal.record_fault(fault_in(0x1000)) == Recorded::yes ? 1 : 0;
  }
  other.join();
  sigaction(SIGUSR1, &old, nullptr);
  CHECK(recorded == 400);
  CHECK(recorded_in_handler > 0);
  CHECK(views_of(store->journal).faults == recorded + recorded_in_handler);
}
