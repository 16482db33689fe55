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
  CHECK(budget_spend(store->journal, 42, 0, now).heals_this_minute == 1);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      budget_spend(store->journal, 42, 0, now);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }
  CHECK(budget_spend(store->journal, 42, 0, now).heals_this_minute == 5);
  CHECK(budget_spend(store->journal, 44, 0, now).heals_this_minute == 1);
  CHECK(budget_spend(store->journal, 42, 0, now + minute).heals_this_minute == 1);
}

TEST_CASE("distinct fault addresses of a site are told from repeated ones") {
  const Folder folder;
  OpenStore store(folder.path());
  for (int i = 0; i < 100; ++i) {
    CHECK(budget_spend(store->journal, 42, 8, minute).distinct_addresses == 1);
  }
  u32 distinct = 0;
  for (u64 i = 0; i < 1000; ++i) {
    distinct = budget_spend(store->journal, 42, 0x7000'0000 + i * 4096, minute).distinct_addresses;
  }
  CHECK(distinct > 32);
}

TEST_CASE("a table full of busy sites lets new ones through, and quiet sites make room") {
  const Folder folder;
  OpenStore store(folder.path());
  for (u64 site = 1; site < 1000; ++site) {
    budget_spend(store->journal, site << 20, 0, 10 * minute);
  }
  const BudgetUse crowded = budget_spend(store->journal, 7'777'777, 0, 10 * minute);
  CHECK(crowded.heals_this_minute == 1);
  budget_spend(store->journal, 7'777'777, 0, 20 * minute);
  CHECK(budget_spend(store->journal, 7'777'777, 0, 20 * minute).heals_this_minute == 2);
}

TEST_CASE("without a journal every heal is the first") {
  const Journal none;
  CHECK(budget_spend(none, 1, 0, minute).heals_this_minute == 1);
}
