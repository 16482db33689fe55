#include "lib/base/record.h"

namespace selfheal {

const char* name_of(Remedy remedy) {
  switch (remedy) {
    case Remedy::engine:
      return "engine";
    case Remedy::stack_check:
      return "stack-check";
    case Remedy::ignore_free:
      return "ignore-free";
    case Remedy::pad_allocation:
      return "pad-allocation";
    case Remedy::delay_free:
      return "delay-free";
    case Remedy::fill_allocation:
      return "fill-allocation";
  }
  return "unknown";
}

const char* name_of(ValueReason reason) {
  switch (reason) {
    case ValueReason::none:
      return "none";
    case ValueReason::policy:
      return "set by policy";
    case ValueReason::caller_compares:
      return "the caller compares with it";
    case ValueReason::caller_tests_sign:
      return "the caller tests the sign";
    case ValueReason::caller_tests_null:
      return "the caller tests for NULL";
    case ValueReason::caller_tests_int:
      return "the caller tests an int status";
    case ValueReason::unused:
      return "the caller does not use the result";
    case ValueReason::fallback:
      return "nothing could be told from the caller";
    case ValueReason::truth_value:
      return "the function answers yes or no";
    case ValueReason::own_error:
      return "the function itself returns it to refuse";
    case ValueReason::own_object:
      return "an object as the function leaves it to refuse";
    case ValueReason::known_function:
      return "its manual page says so";
    case ValueReason::declared:
      return "by its return type";
    case ValueReason::learned:
      return "learned from calls that failed";
    case ValueReason::throws:
      return "the function itself throws to refuse";
    case ValueReason::tried:
      return "what seemed best did not stick";
    case ValueReason::library_error:
      return "the function itself returns it when a library call fails";
    case ValueReason::other_callers:
      return "other callers take it for failure";
  }
  return "unknown";
}

const char* name_of(HealOutcome outcome) {
  switch (outcome) {
    case HealOutcome::none:
      return "none";
    case HealOutcome::healed:
      return "healed";
    case HealOutcome::left_to_die:
      return "left to die";
    case HealOutcome::eager:
      return "recovered by unwinding";
    case HealOutcome::unprotected:
      return "went on unprotected";
    case HealOutcome::simulated:
      return "simulated";
    case HealOutcome::unfit:
      return "no rescue point";
    case HealOutcome::access:
      return "may decide about access";
  }
  return "unknown";
}

const char* name_of(Evidence evidence) {
  switch (evidence) {
    case Evidence::unknown:
      return "-";
    case Evidence::nobody:
      return "nobody looks";
    case Evidence::granted:
      return "taken for granted";
    case Evidence::library:
      return "call-back";
    case Evidence::outermost:
      return "serves";
    case Evidence::yes_or_no:
      return "yes or no";
    case Evidence::guess:
      return "a guess";
    case Evidence::asked:
      return "caller asks";
    case Evidence::own_error:
      return "own error";
    case Evidence::learned:
      return "learned";
    case Evidence::throws:
      return "throws";
  }
  return "unknown";
}

}  // namespace selfheal
