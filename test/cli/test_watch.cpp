// selfheal run --health-..., --memory-limit: arguments, and the parts that need no program. The
// whole of it is in test/faults/outside.
#include <catch2/catch.hpp>
#include <csignal>

#include "cli/health_watch.h"
#include "cli/http_get.h"
#include "cli/memory_watch.h"
#include "test/cli/process.h"

namespace selfheal::cli::test {
namespace {

using std::chrono::milliseconds;

Finished run_with(const Arguments& options) {
  static const Folder store;
  Arguments arguments = {"run", "--store", store.path()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"--", "sh", "-c", "exit 3"});
  return run(selfheal(arguments), with_library());
}

TEST_CASE("what makes no sense is refused before anything is started") {
  for (const Arguments& options :
       {Arguments{"--health-cmd", "true", "--health-http", "http://localhost/"},
        Arguments{"--health-cmd", "true", "--health-interval", "0"},
        Arguments{"--health-cmd", "true", "--health-timeout", "-1"},
        Arguments{"--health-cmd", "true", "--health-retries", "0"},
        Arguments{"--memory-limit", "much"}, Arguments{"--memory-limit", "-1"},
        Arguments{"--health-http", "localhost"}, Arguments{"--health-http", "ftp://localhost/"},
        Arguments{"--health-http", "http://"}}) {
    const Finished finished = run_with(options);
    CAPTURE(options, finished.err);
    CHECK(finished.status == 125);
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
}

TEST_CASE("a watched program's own status is ours") {
  CHECK(run_with({"--health-cmd", "true"}).status == 3);
  CHECK(run_with({"--memory-limit", "1G"}).status == 3);
}

TEST_CASE("the defaults are Docker's") {
  const HealthPolicy policy;
  CHECK(policy.interval == milliseconds(30'000));
  CHECK(policy.timeout == milliseconds(30'000));
  CHECK(policy.start_period == milliseconds(0));
  CHECK(policy.retries == 3);
}

TEST_CASE("sizes in words") {
  CHECK(size_text(0) == "0 bytes");
  CHECK(size_text(1023) == "1023 bytes");
  CHECK(size_text(1024) == "1 KiB");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(u64{200} << 20) == "200 MiB");
  CHECK(size_text(u64{5} << 40) == "5 TiB");
}

// A watch whose checks end as told.
class Checks {
 public:
  explicit Checks(const HealthPolicy& policy) : watch(policy, nothing()) {
    watch.program_started(1, now);
  }

  // Lets the interval pass and ends the check that begins then with this exit status.
  std::optional<Trouble> check(int status) {
    now = std::max(now, watch.due());
    CHECK_FALSE(watch.look(now));
    REQUIRE(watch.child() > 0);
    CHECK(watch.reaped(watch.child(), status << 8, now));
    return watch.look(now);
  }

  Clock::time_point now = Clock::now();
  HealthWatch watch;

 private:
  static sigset_t nothing() {
    sigset_t mask;
    sigemptyset(&mask);
    return mask;
  }
};

TEST_CASE("only failures in a row count") {
  HealthPolicy policy;
  policy.command = "sleep 60";
  policy.retries = 2;
  Checks checks(policy);
  CHECK_FALSE(checks.check(1));
  CHECK_FALSE(checks.check(0));
  CHECK_FALSE(checks.check(1));
  const auto trouble = checks.check(7);
  REQUIRE(trouble);
  CHECK(trouble->kind == FaultKind::time_out);
  CHECK(trouble->what == "its health check failed 2 times in a row: status 7");
}

TEST_CASE("the start period ends with the first success, or with its time") {
  HealthPolicy policy;
  policy.command = "sleep 60";
  policy.retries = 1;
  policy.start_period = milliseconds(100'000);
  Checks early(policy);
  CHECK_FALSE(early.check(1));
  CHECK_FALSE(early.check(0));
  CHECK(early.check(1));
  Checks late(policy);
  CHECK_FALSE(late.check(1));
  late.now += policy.start_period;
  CHECK(late.check(1));
}

TEST_CASE("a check that is late has failed when it is reaped") {
  HealthPolicy policy;
  policy.command = "sleep 60";
  policy.retries = 1;
  Checks checks(policy);
  checks.now = checks.watch.due();
  CHECK_FALSE(checks.watch.look(checks.now));
  checks.now += policy.timeout;
  CHECK_FALSE(checks.watch.look(checks.now));
  CHECK(checks.watch.due() == Clock::time_point::max());
  CHECK(checks.watch.reaped(checks.watch.child(), SIGKILL, checks.now));
  const auto trouble = checks.watch.look(checks.now);
  REQUIRE(trouble);
  CHECK(trouble->what == "its health check failed: no answer within 30000 ms");
}

}  // namespace
}  // namespace selfheal::cli::test
