#include <catch2/catch.hpp>

#include "test/probes/runner.h"

using namespace probes_test;

TEST_CASE("where rt_sigreturn kills, a fault can still be resumed from") {
  const auto* scenario = GENERATE("sandbox_resume", "sandbox_resume_by_syscall");
  const Outcome outcome = run(scenario, How::preloaded, false, "resume");
  CHECK(outcome.output == "sandbox 0\n4000\n");
  CHECK(describe(outcome) == "exit 3");
  CHECK(outcome.events.faults == 4000);
  CHECK(outcome.events.filters == 1);
  CHECK(outcome.events.answer_of_sigreturn == 2);
}

TEST_CASE("resuming without rt_sigreturn brings back every register, flags and red zone") {
  const Outcome outcome = run("sandbox_resume_keeps_registers", How::preloaded, false, "resume");
  // 0x7fffffff + 1: overflow, sign, auxiliary carry and parity of zero.
  CHECK(outcome.output == "sandbox 0\nvector yes flags 894 sum 202 rounding 7f80\n");
  CHECK(describe(outcome) == "exit 0");
}

TEST_CASE("in a sandbox a fault kills with the signal it would have killed with") {
  const auto* scenario = GENERATE("sandbox_die_null", "sandbox_die_divide", "sandbox_die_illegal",
                                  "sandbox_die_stack", "sandbox_die_with_sigreturn");
  const Outcome outcome = dies_as_native(scenario);
  CHECK(outcome.events.faults == 1);
}

TEST_CASE("with no system call left at all, it still dies by SIGSEGV") {
  const Outcome outcome = same_as_native("sandbox_die_without_any_call");
  CHECK(outcome.events.faults == 1);
}

TEST_CASE("the application's handler may jump out in a sandbox") {
  CHECK(same_as_native("sandbox_handler_jumps_out").events.records() == 0);
}

TEST_CASE("filters the kernel refuses change nothing") {
  const Outcome outcome = dies_as_native("bad_filters_are_refused_alike");
  CHECK(outcome.events.filters == 0);
  CHECK(outcome.events.faults == 1);
}
