// Use -> value. errno is set with the values that C code pairs with it, -1 and NULL, and nowhere
// else.
#include "lib/recover/return_value.h"

#include <cerrno>

namespace selfheal::recover {
namespace {

constexpr u64 minus_one = ~u64{0};

i32 errno_for(FaultKind kind) {
  switch (kind) {
    case FaultKind::divide:
    case FaultKind::floating_point:
      return EDOM;
    case FaultKind::illegal_instruction:
      return ENOSYS;
    case FaultKind::stack_exhaustion:
    case FaultKind::memory_growth:
      return ENOMEM;
    case FaultKind::time_out:
      return ETIMEDOUT;
    case FaultKind::fortify:
    case FaultKind::stack_overwrite:
    case FaultKind::heap_overflow:
      return EOVERFLOW;
    case FaultKind::none:
    case FaultKind::other_signal:
    case FaultKind::abort:
    case FaultKind::assertion:
    case FaultKind::terminate:
      return EIO;
    case FaultKind::bad_free:
      return EINVAL;
    case FaultKind::null_access:
    case FaultKind::wild_access:
    case FaultKind::use_after_free:
    case FaultKind::bus:
    case FaultKind::exec_violation:
    case FaultKind::smashed_stack:
    case FaultKind::heap_corruption:
    case FaultKind::return_mismatch:
    case FaultKind::control_protection:
    case FaultKind::protection_key:
      break;
  }
  return EFAULT;
}

// A caller that compares with 1 takes 1 for success, so 0 is failure; any other positive constant
// (a character, a state) is told from -1, which is none of them.
ReturnValue compared(i64 constant, i32 error_number) {
  if (constant < 0) {
    return {static_cast<u64>(constant), ValueReason::caller_compares,
            constant == -1 ? error_number : 0};
  }
  return {constant == 1 ? 0 : minus_one, ValueReason::caller_compares,
          constant == 1 ? 0 : error_number};
}

}  // namespace

ReturnValue value_of(const CallerUse& use, FaultKind kind) {
  const i32 error_number = errno_for(kind);
  switch (use.use) {
    case Use::compared:
      return compared(use.constant, error_number);
    case Use::syscall_error:
      return {static_cast<u64>(-i64{error_number}), ValueReason::caller_compares, 0};
    case Use::asks_next:
    case Use::not_in_range:  // an error number, as functions of the pthread kind return it
      return {static_cast<u64>(i64{error_number}), ValueReason::caller_compares, 0};
    case Use::sign:
      return {minus_one, ValueReason::caller_tests_sign, error_number};
    case Use::null:
      return {0, ValueReason::caller_tests_null, error_number};
    case Use::zero_is_fine:
      return {minus_one, ValueReason::caller_tests_int, error_number};
    case Use::zero_is_error:
    case Use::boolean:
      return {0, ValueReason::caller_tests_int, 0};
    case Use::truth_value:
      return {0, ValueReason::truth_value, 0};
    case Use::unused:
      return {0, ValueReason::unused, 0};
    case Use::returned:  // and nobody further out is known
      return {minus_one, ValueReason::fallback, error_number};
    case Use::trusted:  // a NULL pointer faults in the caller, where the next level can be tried
    case Use::unknown:
      break;
  }
  return {0, ValueReason::fallback, 0};
}

CallerUse use_by_callers(std::span<const u64> return_addresses, const ImageView& image) {
  CallerUse use{Use::unknown, 0};
  bool stored = false;
  for (const u64 address : return_addresses) {
    use = find_caller_use(address, image);
    if (use.use != Use::returned) {
      break;
    }
    stored = stored || use.constant == 1;
  }
  // What a void function happens to leave in rax is no result of its own.
  return stored && use.use == Use::unused ? CallerUse{Use::trusted, 0} : use;
}

ReturnValue infer_return_value(std::span<const u64> return_addresses, FaultKind kind,
                               const ImageView& image) {
  return value_of(use_by_callers(return_addresses, image), kind);
}

}  // namespace selfheal::recover
