#include "lib/base/fault.h"

namespace selfheal {

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::none:
      return "none";
    case FaultKind::null_access:
      return "null-access";
    case FaultKind::wild_access:
      return "wild-access";
    case FaultKind::divide:
      return "divide";
    case FaultKind::illegal_instruction:
      return "illegal-instruction";
    case FaultKind::bus:
      return "bus";
    case FaultKind::floating_point:
      return "floating-point";
    case FaultKind::exec_violation:
      return "exec-violation";
    case FaultKind::stack_exhaustion:
      return "stack-exhaustion";
    case FaultKind::other_signal:
      return "signal";
    case FaultKind::time_out:
      return "time-out";
    case FaultKind::memory_growth:
      return "memory-growth";
    case FaultKind::abort:
      return "abort";
    case FaultKind::assertion:
      return "assertion";
    case FaultKind::terminate:
      return "terminate";
    case FaultKind::fortify:
      return "fortify";
    case FaultKind::smashed_stack:
      return "smashed-stack";
    case FaultKind::stack_overwrite:
      return "stack-overwrite";
    case FaultKind::heap_corruption:
      return "heap-corruption";
    case FaultKind::bad_free:
      return "bad-free";
    case FaultKind::heap_overflow:
      return "heap-overflow";
    case FaultKind::use_after_free:
      return "use-after-free";
    case FaultKind::return_mismatch:
      return "return-mismatch";
    case FaultKind::control_protection:
      return "control-protection";
    case FaultKind::protection_key:
      return "protection-key";
  }
  return "unknown";
}

bool is_integrity(FaultKind kind) {
  switch (kind) {
    case FaultKind::exec_violation:
    case FaultKind::smashed_stack:
    case FaultKind::heap_corruption:
    case FaultKind::return_mismatch:
    case FaultKind::control_protection:
    case FaultKind::protection_key:
      return true;
    default:
      return false;
  }
}

bool is_abort(FaultKind kind) {
  switch (kind) {
    case FaultKind::abort:
    case FaultKind::assertion:
    case FaultKind::terminate:
    case FaultKind::fortify:
    case FaultKind::smashed_stack:
    case FaultKind::heap_corruption:
    case FaultKind::bad_free:
      return true;
    default:
      return false;
  }
}

bool is_foreseen_next_time(FaultKind kind) {
  return kind == FaultKind::smashed_stack || kind == FaultKind::return_mismatch;
}

bool is_security_event(FaultKind kind) {
  return is_integrity(kind) || kind == FaultKind::stack_overwrite || kind == FaultKind::fortify;
}

const char* name_of(Access access) {
  switch (access) {
    case Access::none:
      return "none";
    case Access::read:
      return "read";
    case Access::write:
      return "write";
    case Access::execute:
      return "execute";
  }
  return "unknown";
}

}  // namespace selfheal
