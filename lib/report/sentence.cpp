#include "lib/report/sentence.h"

#include <csignal>

#include "lib/report/illegal.h"
#include "lib/report/operands.h"

namespace selfheal::report {
namespace {

// Page-fault error code, Intel SDM vol. 3, 4.7.
constexpr u64 page_was_present = 1;

constexpr u8 breakpoint = 3;
constexpr u8 general_protection = 13;
constexpr u8 page_fault = 14;

const char* access_verb(Access access) {
  switch (access) {
    case Access::read:
      return "read from ";
    case Access::write:
      return "wrote to ";
    case Access::execute:
      return "jumped to ";
    case Access::none:
      break;
  }
  return "accessed ";
}

void say_null(const Fault& fault, Text& out) {
  out << access_verb(fault.access);
  if (fault.address == 0) {
    out << "a NULL pointer";
    return;
  }
  out << "address 0x";
  out.hex(fault.address) << ", a NULL pointer plus ";
  out.decimal(fault.address);
}

bool canonical(u64 address) {
  return (static_cast<i64>(address << 16) >> 16) == static_cast<i64>(address);
}

void say_wild(const Fault& fault, Text& out) {
  out << access_verb(fault.access) << "address 0x";
  out.hex(fault.address);
  if (fault.trap == general_protection && canonical(fault.address)) {
    out << ", which is not aligned as the instruction needs it";
  } else if (fault.trap == general_protection) {
    out << ", which no address space has (not canonical)";
  } else if (fault.trap != page_fault) {
    out << ", where it must not";
  } else if ((fault.error_code & page_was_present) == 0) {
    out << ", where nothing is mapped";
  } else {
    out << ", which its memory protection forbids";
  }
}

void say_divide(const Fault& fault, const u8* bytes, u64 size, Text& out) {
  switch (divisor_of(bytes, size, fault.registers)) {
    case Divisor::zero:
      out << "divided an integer by zero";
      return;
    case Divisor::not_zero:
      out << "divided integers with a quotient too large for its register";
      return;
    case Divisor::unknown:
      out << "divided an integer by zero, or with a quotient too large for its register";
      return;
  }
}

void say_bus(const Fault& fault, Text& out) {
  out << access_verb(fault.access) << "address 0x";
  out.hex(fault.address);
  switch (fault.code) {
    case BUS_ADRALN:
      out << ", which is not aligned as the instruction needs it";
      break;
    case BUS_ADRERR:
      out << ", beyond the end of a mapped file";
      break;
    case BUS_MCEERR_AR:
    case BUS_MCEERR_AO:
      out << ", where the memory hardware is broken";
      break;
    default:
      out << ", which could not be delivered (bus error)";
      break;
  }
}

void say_floating_point(const Fault& fault, Text& out) {
  out << "raised a floating-point exception it had unmasked";
  switch (fault.code) {
    case FPE_FLTDIV:
      out << " (division by zero)";
      break;
    case FPE_FLTOVF:
      out << " (overflow)";
      break;
    case FPE_FLTUND:
      out << " (underflow)";
      break;
    case FPE_FLTRES:
      out << " (inexact result)";
      break;
    case FPE_FLTINV:
      out << " (invalid operation)";
      break;
    default:
      break;
  }
}

}  // namespace

void say_fault(const Fault& fault, const u8* bytes, u64 size, Text& out) {
  switch (fault.kind) {
    case FaultKind::null_access:
      say_null(fault, out);
      return;
    case FaultKind::wild_access:
      say_wild(fault, out);
      return;
    case FaultKind::divide:
      say_divide(fault, bytes, size, out);
      return;
    case FaultKind::illegal_instruction:
      say_illegal(fault, bytes, size, out);
      return;
    case FaultKind::bus:
      say_bus(fault, out);
      return;
    case FaultKind::floating_point:
      say_floating_point(fault, out);
      return;
    case FaultKind::exec_violation:
      if (fault.trap == general_protection && fault.address == 0) {
        out << "jumped to what is no address (not canonical)";
        return;
      }
      out << "jumped to address 0x";
      out.hex(fault.address) << ", which is not executable code";
      return;
    case FaultKind::stack_exhaustion:
      out << (fault.trap == 0 ? "was called with too little stack left, at 0x"
                              : "ran out of stack: it touched the guard area at 0x");
      out.hex(fault.address);
      return;
    case FaultKind::other_signal:
      if (fault.trap == breakpoint && fault.signal == SIGTRAP && fault.code > 0) {
        out << "reached a breakpoint (int3)";
      } else {
        out << "was sent a fatal signal by a process";
      }
      return;
    case FaultKind::time_out:
      out << "did not end within its budget";
      return;
    case FaultKind::memory_growth:
      out << "took more and more memory without coming to an end";
      return;
    case FaultKind::abort:
      out << "called abort()";
      return;
    case FaultKind::assertion:
      out << "failed an assertion";
      return;
    case FaultKind::terminate:
      out << "ended in std::terminate";
      return;
    case FaultKind::fortify:
      out << "was about to write beyond the end of an object; libc's checked function refused";
      return;
    case FaultKind::smashed_stack:
      out << "overwrote its own stack frame: the canary was damaged";
      return;
    case FaultKind::stack_overwrite:
      out << "was about to overwrite a saved return address at 0x";
      out.hex(fault.address);
      return;
    case FaultKind::heap_corruption:
      out << "called the allocator, which found its data damaged";
      return;
    case FaultKind::bad_free:
      if (fault.address == 0) {  // seen by the allocator, which does not say
        out << "freed what is no live heap chunk";
      } else {
        out << "freed 0x";
        out.hex(fault.address) << ", which is no live heap chunk";
      }
      return;
    case FaultKind::heap_overflow:
      if (fault.access == Access::none) {
        out << "allocated a heap chunk that was overflown: found damaged at 0x";
        out.hex(fault.address);
        return;
      }
      out << access_verb(fault.access) << "0x";
      out.hex(fault.address) << ", beyond the bounds of a heap chunk";
      return;
    case FaultKind::use_after_free:
      out << access_verb(fault.access) << "0x";
      out.hex(fault.address) << ", in a heap chunk that was freed";
      return;
    case FaultKind::return_mismatch:
      out << "was about to return to 0x";
      out.hex(fault.address) << ", where nobody called it from";
      return;
    case FaultKind::control_protection:
      out << "jumped or returned to 0x";
      out.hex(fault.address) << ", which the processor's control-flow protection forbids";
      return;
    case FaultKind::protection_key:
      out << access_verb(fault.access) << "0x";
      out.hex(fault.address) << ", which a memory protection key forbids";
      return;
    case FaultKind::none:
      break;
  }
  out << "had a fault of an unknown kind (";
  out.decimal(static_cast<u8>(fault.kind)) << ')';
}

}  // namespace selfheal::report
