#include <catch2/catch.hpp>

#include "test/probes/runner.h"

using namespace probes_test;

TEST_CASE("a crash handler that ends the process leaves exactly one record, of the first fault") {
  const auto* scenario =
      GENERATE("crash_as_apache", "crash_as_apache_on_a_thread", "crash_as_redis",
               "crash_as_redis_on_a_thread", "crash_report_crashes",
               "crash_report_crashes_while_blocked", "crash_handler_returns_to_the_default",
               "crash_handler_exits", "crash_handler_aborts", "crash_handler_starts_afresh",
               "crash_handler_forks_a_reporter", "crash_handler_vforks_a_reporter",
               "crash_handler_returns_on_a_thread", "crash_handler_stays_on_a_thread");
  const Outcome outcome = same_as_native(scenario);
  CHECK(outcome.events.records() == 1);
  const auto& fault = outcome.events.commits ? outcome.events.pending : outcome.events.last;
  CHECK(fault.kind == selfheal::FaultKind::null_access);
}

TEST_CASE("a signal that another thread gets while its fault is being recorded is no fault") {
  const Outcome outcome = run("crash_handler_returns_on_a_thread", How::preloaded, false, "sent");
  CHECK(describe(outcome) == "signal 11");
  CHECK(outcome.events.arrivals == 1);
  CHECK(outcome.events.progress >= 1);  // the other thread went on
  CHECK(outcome.events.records() == 1);
  CHECK(outcome.events.other_faults == 0);
  CHECK(outcome.events.last.kind == selfheal::FaultKind::null_access);
}

TEST_CASE("a fault that was recovered from is not brought up again") {
  CHECK(same_as_native("recovered_long_ago").events.records() == 0);
  const Outcome outcome = same_as_native("recovered_then_a_real_one");
  CHECK(outcome.events.records() == 1);
  CHECK(outcome.events.last.kind == selfheal::FaultKind::wild_access);
}
