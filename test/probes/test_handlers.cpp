#include <catch2/catch.hpp>

#include "test/probes/runner.h"

using namespace probes_test;

TEST_CASE("handlers of the application run as if we were not there, and no fault is recorded") {
  const auto* scenario = GENERATE(
      "siginfo_handler", "plain_handler_jumps", "jump_from_deeper_each_time",
      "raise_inside_is_deferred", "raise_inside_nests_with_nodefer",
      "fault_inside_nests_with_nodefer", "other_fault_inside_is_handled", "handler_mask",
      "handler_changes_the_mask_to_return_to", "vector_registers_and_flags_survive",
      "red_zone_survives", "backtrace_reaches_main", "sent_signals_reach_handlers",
      "file_cut_short_while_it_is_sent", "division_becomes_an_error",
      "handler_interrupts_a_system_call", "handler_restarts_a_system_call",
      "errno_in_and_after_a_handler", "handler_leaves_by_setcontext", "handler_on_alternate_stack",
      "handler_beside_alternate_stack", "handler_wants_alternate_stack_there_is_none",
      "small_alternate_stack", "stack_overflow_with_alternate_stack",
      "stack_overflow_with_alternate_stack_on_a_thread", "many_threads_fault_and_go_on");
  const Outcome outcome = same_as_native(scenario);
  CHECK(outcome.events.records() == 0);
}

TEST_CASE("handlers that do not save the process let it die as it would have") {
  const auto* scenario =
      GENERATE("jump_without_mask_blocks_the_next", "reset_handler", "system_v_handler",
               "fault_inside_kills", "stack_overflow_without_alternate_stack",
               "fault_while_blocked_kills_despite_handler", "ignored_sent_signals");
  const Outcome outcome = same_as_native(scenario);
  CHECK(outcome.events.records() == 1);
}

TEST_CASE("the handler's fault is known to the runtime before the handler runs") {
  const Outcome outcome = run("siginfo_handler", How::preloaded);
  CHECK(outcome.events.prepares == 9);
  CHECK(outcome.events.pending.signal == SIGSEGV);
  CHECK(outcome.events.pending.kind == selfheal::FaultKind::wild_access);
}
