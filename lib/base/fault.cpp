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
  }
  return "unknown";
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
