#include <catch2/catch.hpp>

#include "test/probes/runner.h"

using namespace probes_test;

TEST_CASE("thread hooks come in pairs, however threads end") {
  const Outcome ended = same_as_native("threads_begin_and_end");
  CHECK(ended.events.threads_started == 22);
  CHECK(ended.events.threads_ended == 22);
  const Outcome cancelled = same_as_native("cancellation");
  CHECK(cancelled.events.threads_started == 5);
  CHECK(cancelled.events.threads_ended == 5);
}

TEST_CASE("a thread is protected until its last destructors") {
  const Outcome outcome = dies_as_native("overflow_in_a_late_destructor");
  CHECK(outcome.events.faults == 1);
  CHECK(outcome.events.last.kind == selfheal::FaultKind::stack_exhaustion);
}

TEST_CASE("fork children are announced, vfork children are not") {
  CHECK(same_as_native("forks").events.fork_children == 3);
}

TEST_CASE("a new generation is told once, by the next blocking call") {
  CHECK(same_as_native("new_generation").events.progress == 3);
}

TEST_CASE("the fault hook may change the context and go on") {
  const Outcome outcome = run("resume_after_faults", How::preloaded, false, "resume");
  CHECK(outcome.output == "600\n");
  CHECK(outcome.events.faults == 600);
}

TEST_CASE("breakpoints reach thread_fault even where the application blocks everything") {
  const Outcome outcome = run("breakpoints_while_blocked", How::preloaded, false, "trap-own");
  CHECK(outcome.output == "100, blocked yes\n");
  CHECK(outcome.events.thread_faults == 100);
}

TEST_CASE("thread_fault is asked before the application's handler") {
  const Outcome outcome = run("siginfo_handler", How::preloaded, false, "own");
  CHECK(outcome.output == "3\n3\n3\nblocked after: no\n");
  CHECK(outcome.events.thread_faults == 9);
  CHECK(outcome.events.prepares == 0);
}
