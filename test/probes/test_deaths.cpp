#include <catch2/catch.hpp>
#include <string>

#include "test/probes/runner.h"

using namespace probes_test;
using selfheal::FaultKind;

namespace {

struct Death {
  const char* scenario;
  FaultKind kind;
};

}  // namespace

TEST_CASE("a fault nobody handles is seen once and kills as it would have, on every thread") {
  const auto death = GENERATE(
      Death{"die_null_read", FaultKind::null_access},
      Death{"die_null_write", FaultKind::null_access}, Death{"die_wild", FaultKind::wild_access},
      Death{"die_divide", FaultKind::divide}, Death{"die_illegal", FaultKind::illegal_instruction},
      Death{"die_bus", FaultKind::bus}, Death{"die_data_executed", FaultKind::exec_violation},
      // #GP of the `ret` itself: where it would have gone, the diagnosis reads from the stack.
      Death{"die_nowhere_executed", FaultKind::wild_access},
      Death{"die_floating_point", FaultKind::floating_point},
      Death{"die_stack", FaultKind::stack_exhaustion},
      Death{"die_raise_segv", FaultKind::other_signal},
      Death{"die_raise_ill", FaultKind::other_signal},
      Death{"die_kill_fpe", FaultKind::other_signal},
      Death{"die_kill_bus", FaultKind::other_signal});
  const bool on_thread = GENERATE(false, true);
  const std::string scenario = std::string(death.scenario) + (on_thread ? "_on_a_thread" : "");
  INFO(scenario);
  const Outcome outcome = dies_as_native(scenario);
  CHECK(outcome.events.faults == 1);
  CHECK(outcome.events.commits == 0);
  CHECK(std::string(name_of(outcome.events.last.kind)) == name_of(death.kind));
  CHECK(outcome.events.last.signal == outcome.fatal.si_signo);
  CHECK(outcome.events.last.code == outcome.fatal.si_code);
}

TEST_CASE("blocked, ignored and queued signals kill as they would have, and are seen") {
  const auto* scenario =
      GENERATE("die_queued_value", "die_blocked", "die_ignored", "die_after_default_came_back");
  const Outcome outcome = dies_as_native(scenario);
  CHECK(outcome.events.faults == 1);
}

TEST_CASE("a breakpoint nobody set kills as it would have, watched or not") {
  CHECK(dies_as_native("die_breakpoint").events.faults == 0);
  CHECK(dies_as_native("die_breakpoint", "trap").events.faults == 1);
}

TEST_CASE("a fork child's fault is seen, a vfork child's is not") {
  CHECK(same_as_native("die_in_fork_child").events.faults == 1);
  CHECK(same_as_native("fork_inherits_masks").events.faults == 1);
  CHECK(same_as_native("die_in_vfork_child").events.faults == 0);
}

TEST_CASE("a fault while we look at a fault does not change how the process dies") {
  const Outcome wild = dies_as_native("die_null_write", "crash");
  CHECK(wild.events.faults == 1);
  const Outcome deep = dies_as_native("die_stack_on_a_thread", "crash");
  CHECK(deep.events.faults == 1);
}

TEST_CASE("a guarded call that faults returns false, nested ones too") {
  const Outcome outcome = dies_as_native("die_divide", "guard");
  CHECK(outcome.events.guarded_failures == 2);
  CHECK(outcome.events.faults == 1);
}
