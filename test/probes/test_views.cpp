#include <catch2/catch.hpp>

#include "test/probes/runner.h"

using namespace probes_test;

TEST_CASE("the application sees what it set") {
  const auto* scenario = GENERATE(
      "disposition_views", "alternate_stack_views", "other_signals_and_alternate_stacks",
      "mask_views", "sent_while_blocked_comes_later", "sent_while_blocked_wakes_sigsuspend",
      "sent_while_blocked_wakes_ppoll_and_its_kin", "sigwait_takes_a_blocked_signal",
      "fault_under_a_handler_that_blocks_all", "threads_inherit_masks");
  same_as_native(scenario);
}

TEST_CASE("exec hands on what is ignored and what is blocked") {
  const auto* scenario =
      GENERATE("exec_hands_on_what_is_ignored_and_blocked", "exec_hands_on_to_a_program_without_us",
               "exec_from_a_vfork_child_leaves_the_parent_alone", "failed_exec");
  same_as_native(scenario);
}

TEST_CASE("wrapped calls do what they are for") {
  const auto* scenario = GENERATE("blocking_calls_work", "exit_runs_everything", "longjmp_works",
                                  "exceptions_pass", "cancellation");
  same_as_native(scenario);
}
