// What the declared type does to the value that all other evidence came up with:
//
//   void          nothing is returned; what a refusing exit leaves behind pointers still is
//   pointer       NULL, in place of a guess
//   truth value   0, in place of a guess and of what is neither 0 nor 1
//   enumeration   the enumerator that says failure, unless the function's own exits spoke for
//   another
//                 one and do not have it
//   integer       -1, in place of a value that nothing speaks for
//   unsigned      0, likewise
//   others        no change
#include "lib/recover/known_return.h"

namespace selfheal::recover {
namespace {

using store::DeclaredType;

// The same in the part of rax that an int has.
bool same_number(u64 a, u64 b) {
  return static_cast<u32>(a) == static_cast<u32>(b);
}

const Exit* exit_with(const OwnExits& own, u64 value) {
  for (const Exit& exit : own) {
    if (exit.kind == Exit::constant && same_number(exit.value, value)) {
      return &exit;
    }
  }
  return nullptr;
}

// Nothing speaks for the value but how an int is tested, or not even that.
bool is_guess(ValueReason reason) {
  return reason == ValueReason::fallback || reason == ValueReason::caller_tests_int;
}

Return number_of(u64 value, ValueReason reason, i32 error_number) {
  Return result{};
  result.in_rax = {value, reason, error_number};
  return result;
}

// As a pointer, or a number, says it: with an errno for the kind of fault.
Return as_asked(Use use, FaultKind kind, const Return& old) {
  Return result{};
  result.in_rax = value_of({use, 0}, kind);
  result.in_rax.reason = ValueReason::declared;
  result.by_outer_callers = old.by_outer_callers;
  return result;
}

void return_nothing(const OwnExits& own, Return& value) {
  if (value.store_count == 0 || value.is_object) {
    value = {};
    for (const Exit& exit : own) {
      if (exit.avoids_fault && exit.store_count != 0) {
        leave_as(exit, value);
        break;
      }
    }
  }
  value.has_second = value.has_vector = false;
  value.is_void = true;
  value.in_rax = {0, ValueReason::unused, 0};
}

void return_failure(u64 failure, const OwnExits& own, Return& value) {
  const Exit* const exit = exit_with(own, failure);
  const ValueReason reason = value.in_rax.reason;
  if (exit == nullptr &&
      (reason == ValueReason::own_error || reason == ValueReason::library_error)) {
    return;
  }
  const i32 error_number = exit != nullptr ? exit->error_number : 0;
  const bool by_outer_callers = value.by_outer_callers;
  value = number_of(failure, ValueReason::declared, error_number);
  value.by_outer_callers = by_outer_callers;
  if (exit != nullptr) {
    leave_as(*exit, value);
  }
}

}  // namespace

Return learned_return(const OwnExits& own, u64 error) {
  const Exit* const exit = exit_with(own, error);
  Return result = number_of(error, ValueReason::learned, exit != nullptr ? exit->error_number : 0);
  if (exit != nullptr) {
    leave_as(*exit, result);
  }
  return result;
}

void sharpen(const KnownFunction& function, const OwnExits& own, FaultKind kind, Return& value) {
  const ValueReason reason = value.in_rax.reason;
  switch (function.declared) {
    case DeclaredType::nothing:
      return_nothing(own, value);
      break;
    case DeclaredType::pointer:
      if (is_guess(reason)) {
        value = as_asked(Use::null, kind, value);
      }
      break;
    case DeclaredType::truth:
      if (is_guess(reason) || (value.in_rax.value & 0xff) > 1) {
        value = as_asked(Use::boolean, kind, value);
      }
      break;
    case DeclaredType::enumeration:
      if (function.failure_known) {
        return_failure(function.failure, own, value);
      }
      break;
    case DeclaredType::number:
      if (reason == ValueReason::fallback) {
        value = as_asked(Use::sign, kind, value);
      }
      break;
    case DeclaredType::count:
      if (reason == ValueReason::fallback) {
        value = as_asked(Use::zero_is_error, kind, value);
      }
      break;
    case DeclaredType::unknown:
    case DeclaredType::real:
    case DeclaredType::object:
      break;
  }
}

}  // namespace selfheal::recover
