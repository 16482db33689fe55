#include <catch2/catch.hpp>
#include <sys/wait.h>

#include "lib/store/budget.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {
constexpr u64 minute = 60'000'000'000;
}

TEST_CASE("heals of a site are counted over all processes, and anew each minute") {
  const Folder folder;
  OpenStore store(folder.path());
  const u64 now = 1000 * minute;
  CHECK(budget_spend(store->journal, 42, 0, now).this_minute == 1);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      budget_spend(store->journal, 42, 0, now);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }
  CHECK(budget_spend(store->journal, 42, 0, now).this_minute == 5);
  CHECK(budget_spend(store->journal, 44, 0, now).this_minute == 1);
  CHECK(budget_spend(store->journal, 42, 0, now + minute).this_minute == 1);
}

TEST_CASE("distinct fault addresses of a site are told from repeated ones") {
  const Folder folder;
  OpenStore store(folder.path());
  for (u64 i = 0; i < 100; ++i) {
    CHECK(budget_spend(store->journal, 42, 0x5000 + 8 * i, minute).distinct_pages == 1);
  }
  u32 distinct = 0;
  for (u64 i = 0; i < 1000; ++i) {
    distinct = budget_spend(store->journal, 42, 0x7000'0000 + i * 4096, minute).distinct_pages;
  }
  CHECK(distinct > 200);
}

// Whatever the secret: it is drawn for each journal, and a scan goes through neighbouring pages.
TEST_CASE("a scan shows 33 different pages after 33 to 48 of them") {
  for (u64 attempt = 1; attempt <= 100; ++attempt) {
    const Folder folder;
    OpenStore store(folder.path());
    u64 page = 0;
    while (
        budget_spend(store->journal, 42, (attempt << 32) + (++page << 12), minute).distinct_pages <
        33) {
      REQUIRE(page < 48);
    }
    CHECK(page >= 33);
  }
}

TEST_CASE("the hash of pages is another one for each journal") {
  const Folder one;
  const Folder other;
  OpenStore first(one.path());
  OpenStore second(other.path());
  CHECK(first->journal.secret() != 0);
  CHECK(first->journal.secret() != second->journal.secret());
}

TEST_CASE("a breaker stays open for twice as long each time, and is closed by hand") {
  const Folder folder;
  OpenStore store(folder.path());
  const Journal& journal = store->journal;
  u64 now = 1000 * minute;
  CHECK(budget_open_until(journal, 42, now) == 0);
  for (u64 expected = 60; expected <= 480; expected *= 2) {
    budget_open(journal, 42, 60, now);
    const u64 until = budget_open_until(journal, 42, now);
    CHECK(until == now / 1'000'000'000 + expected);
    budget_open(journal, 42, 60, now + 1);  // while it is open
    CHECK(budget_open_until(journal, 42, now) == until);
    now = until * 1'000'000'000;
    CHECK(budget_open_until(journal, 42, now) == 0);
  }
  now += 61 * minute;
  budget_open(journal, 42, 60, now);
  CHECK(budget_open_until(journal, 42, now) == now / 1'000'000'000 + 60);
  budget_open(journal, 43, 0, now);
  CHECK(budget_open_until(journal, 43, now + 1'000'000 * minute) == forever);
  budget_reset(journal, 43);
  CHECK(budget_open_until(journal, 43, now) == 0);
}

TEST_CASE("an open breaker survives its journal's being closed") {
  const Folder folder;
  {
    OpenStore store(folder.path());
    budget_spend(store->journal, 42, 0, minute);
    budget_open(store->journal, 42, 0, minute);
  }
  OpenStore later(folder.path());
  CHECK(budget_open_until(later->journal, 42, minute) == forever);
  CHECK(budget_spent(later->journal, 42) == 1);
}

TEST_CASE("a table full of busy sites lets new ones through, and quiet sites make room") {
  const Folder folder;
  OpenStore store(folder.path());
  for (u64 site = 1; site < 1000; ++site) {
    budget_spend(store->journal, site << 20, 0, 10 * minute);
  }
  const BudgetUse crowded = budget_spend(store->journal, 7'777'777, 0, 10 * minute);
  CHECK(crowded.this_minute == 1);
  budget_spend(store->journal, 7'777'777, 0, 20 * minute);
  CHECK(budget_spend(store->journal, 7'777'777, 0, 20 * minute).this_minute == 2);
}

TEST_CASE("without a journal every heal is the first") {
  const Journal none;
  CHECK(budget_spend(none, 1, 0, minute).this_minute == 1);
}
