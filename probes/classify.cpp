#include "probes/classify.h"

namespace selfheal::probes {
namespace {

// Exception vectors (Intel SDM vol. 3, table 6-1) as the kernel leaves them in REG_TRAPNO.
enum Vector : u8 {
  divide_error = 0,
  invalid_opcode = 6,
  stack_segment = 12,
  general_protection = 13,
  page_fault = 14,
  x87_error = 16,
  alignment_check = 17,
  simd_error = 19,
  control_protection = 21,
};

constexpr u64 error_write = 1 << 1;
constexpr u64 error_fetch = 1 << 4;
constexpr u64 error_key = 1 << 5;

// A prologue that needs much room touches the stack this far from rsp at most: compilers probe
// every page (-fstack-clash-protection), and those that do not rarely have larger frames.
constexpr u64 stack_reach = 64 * 1024;

bool canonical(u64 address) {
  const i64 top = static_cast<i64>(address) >> 47;
  return top == 0 || top == -1;
}

// A frame with a large array, or an alloca, takes the stack pointer past the guard at once, as deep
// as the frame is large; and the limit of the first thread's stack may have been raised since.
constexpr u64 largest_frame = 64 * 1024 * 1024;

bool near_stack(u64 stack_pointer, StackRange stack) {
  return stack_pointer + largest_frame >= stack.low && stack_pointer < stack.high;
}

// Memory around the stack pointer is always accessible unless the stack has come to its end. A
// stack pointer that points nowhere near the thread's stack is a wild pointer like any other.
bool out_of_stack(u64 address, u64 stack_pointer, StackRange stack) {
  if (stack_pointer < null_page_end || (stack.known() && !near_stack(stack_pointer, stack))) {
    return false;
  }
  if (stack.known() && address >= stack.high) {
    return false;  // an overrun beyond its beginning
  }
  if (stack.known() && stack_pointer < stack.low && address >= stack_pointer) {
    return address < stack.low;  // inside of the frame that steps out of the stack
  }
  return address + stack_reach >= stack_pointer && address < stack_pointer + stack_reach;
}

FaultKind access_kind(const Fault& fault, StackRange stack) {
  if (out_of_stack(fault.address, fault.registers.gpr[rsp], stack)) {
    return FaultKind::stack_exhaustion;
  }
  return fault.address < null_page_end ? FaultKind::null_access : FaultKind::wild_access;
}

void classify_page_fault(Fault& fault, StackRange stack) {
  if (fault.error_code & error_fetch || fault.registers.rip == fault.address) {
    fault.kind = FaultKind::exec_violation;
    fault.access = Access::execute;
    return;
  }
  fault.access = fault.error_code & error_write ? Access::write : Access::read;
  if (fault.error_code & error_key) {
    fault.kind = FaultKind::protection_key;
    return;
  }
  fault.kind = fault.signal == SIGBUS ? FaultKind::bus : access_kind(fault, stack);
}

// #GP and #SS carry no address. The common cause is a non-canonical one.
void classify_protection(Fault& fault) {
  fault.address = 0;
  if (!canonical(fault.registers.rip)) {
    fault.kind = FaultKind::exec_violation;
    fault.access = Access::execute;
    fault.address = fault.registers.rip;
  } else {
    fault.kind = FaultKind::wild_access;
  }
}

}  // namespace

Registers registers_of(const ucontext_t& context) {
  const greg_t* g = context.uc_mcontext.gregs;
  const auto at = [g](int index) { return static_cast<u64>(g[index]); };
  return {{at(REG_RAX), at(REG_RCX), at(REG_RDX), at(REG_RBX), at(REG_RSP), at(REG_RBP),
           at(REG_RSI), at(REG_RDI), at(REG_R8), at(REG_R9), at(REG_R10), at(REG_R11), at(REG_R12),
           at(REG_R13), at(REG_R14), at(REG_R15)},
          at(REG_RIP),
          at(REG_EFL)};
}

Fault classify(const siginfo_t& info, const ucontext_t& context, StackRange stack) {
  Fault fault{};
  fault.kind = FaultKind::other_signal;
  fault.signal = static_cast<u8>(info.si_signo);
  fault.code = info.si_code;
  fault.registers = registers_of(context);
  if (!synchronous(info)) {
    return fault;
  }
  fault.trap = static_cast<u8>(context.uc_mcontext.gregs[REG_TRAPNO]);
  fault.error_code = static_cast<u64>(context.uc_mcontext.gregs[REG_ERR]);
  fault.address = address_of(info.si_addr);

  switch (fault.trap) {
    case page_fault:
      classify_page_fault(fault, stack);
      break;
    case general_protection:
    case stack_segment:
      classify_protection(fault);
      break;
    case divide_error:
      fault.kind = fault.signal == SIGFPE ? FaultKind::divide : FaultKind::other_signal;
      break;
    case x87_error:
    case simd_error:
      fault.kind = FaultKind::floating_point;
      break;
    case invalid_opcode:
      fault.kind = FaultKind::illegal_instruction;
      break;
    case alignment_check:
      fault.kind = FaultKind::bus;
      break;
    case control_protection:
      fault.kind = FaultKind::control_protection;
      fault.access = Access::execute;
      break;
    default:
      break;
  }
  const bool about_data =
      fault.signal == SIGSEGV || fault.signal == SIGBUS || fault.access == Access::execute;
  if (!about_data) {
    fault.address = 0;  // the kernel puts rip there for SIGFPE, SIGILL and SIGTRAP
  }
  return fault;
}

}  // namespace selfheal::probes
