// Instructions that fault: the application's handler must be told in the engine what it is told
// natively (issue 3, item 7). The processor is the oracle: each is run natively first.
#include "test/hard_cases/generated.h"
#include "test/hard_cases/seen_fault.h"

using namespace hard;

// A function of these instructions, and a ret.
#define CODE(name, text)                                                              \
  extern "C" void name();                                                             \
  asm(".pushsection .text\n.p2align 4\n.type " #name ", @function\n" #name ":\n" text \
      "\nret\n"                                                                       \
      ".size " #name ", . - " #name "\n.popsection")

// Not optimised into its callers, and so entered once for every fault.
REGION void raise_fault(void (*f)()) {
  f();
  asm volatile("");
}

namespace {

void (*next)();

void raise_next() {
  raise_fault(next);
}

template <typename... F>
int tell_each(F... functions) {
  uint64_t count = 0;
  for (void (*f)() : {functions...}) {
    next = f;
    ++count;
    if (!tells_fault(reinterpret_cast<uint64_t>(f), raise_next)) {
      say("nothing happened\n");
    }
  }
  return !loaded() || (region_calls() == count && heals() == 0) ? 0 : 1;
}

}  // namespace

CODE(halt, "nop; hlt");
CODE(read_port, "nop; inb $0x80, %al");
CODE(disable_interrupts, "nop; cli");
CODE(read_msr, "nop; rdmsr");
CODE(unused_interrupt, "nop; int $5");

HARD_CASE_OF(privileged_instructions, "raise_fault",
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +1\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +1\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +1\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +1\n"
             "SIGSEGV code 128 trap 13 error 42 at 0x0 rip +1\n",
             .leaves = true) {
  return tell_each(halt, read_port, disable_interrupts, read_msr, unused_interrupt);
}

CODE(undefined_0, "nop; .byte 0x0f, 0xff, 0xc0");  // ud0 %eax, %eax
CODE(undefined_1, "nop; .byte 0x0f, 0xb9, 0xc0");  // ud1 %eax, %eax
CODE(undefined_2, "nop; ud2");
CODE(lock_without_memory, "nop; .byte 0xf0, 0x01, 0xc0");  // lock add %eax, %eax
CODE(lock_on_mov, "nop; .byte 0xf0, 0x89, 0x04, 0x24");    // lock mov %eax, (%rsp)
CODE(no_such_instruction, "nop; .byte 0x06");              // push %es

HARD_CASE_OF(undefined_instructions, "raise_fault",
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n"
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n"
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n"
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n"
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n"
             "SIGILL code 2 trap 6 error 0 at +1 rip +1\n",
             .leaves = true) {
  return tell_each(undefined_0, undefined_1, undefined_2, lock_without_memory, lock_on_mov,
                   no_such_instruction);
}

CODE(sixteen_bytes, "nop; .fill 15, 1, 0x66; nop");
CODE(fifteen_bytes, "nop; .fill 14, 1, 0x66; nop; hlt");

HARD_CASE_OF(the_longest_instruction, "raise_fault",
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +1\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +16\n",
             .leaves = true) {
  return tell_each(sixteen_bytes, fifteen_bytes);
}

CODE(breakpoint, "nop; int3; nop");
CODE(breakpoint_of_two_bytes, "nop; .byte 0xcd, 3; nop");
CODE(single_step, "pushfq; orl $0x100, (%rsp); popfq; nop; nop");

HARD_CASE_OF(traps, "raise_fault",
             "SIGTRAP code 128 trap 3 error 0 at 0x0 rip +2\n"
             "SIGTRAP code 128 trap 3 error 0 at 0x0 rip +3\n"
             "SIGTRAP code 2 trap 1 error 0 at +10 rip +10\n",
             .leaves = true) {
  return tell_each(breakpoint, breakpoint_of_two_bytes, single_step);
}

CODE(in_circuit_breakpoint, "nop; .byte 0xf1; nop");

// A virtual machine may get rip wrong.
HARD_CASE_OF(an_in_circuit_breakpoint, "raise_fault", "signal 5\n", .leaves = true) {
  next = in_circuit_breakpoint;
  say("signal %d\n", signal_raised_by(raise_next));
  return 0;
}

CODE(misaligned_with_check, "pushfq; orl $0x40000, (%rsp); popfq; movl -63(%rsp), %eax");

HARD_CASE_OF(an_alignment_check, "raise_fault", "SIGBUS code 1 trap 17 error 0 at 0x0 rip +9\n",
             .leaves = true) {
  return tell_each(misaligned_with_check);
}

// The check is on when the region is entered.
extern "C" void reads_misaligned();
asm(R"(
  .pushsection .text
  .p2align 4
  .globl reads_misaligned
  .type reads_misaligned, @function
reads_misaligned:
  .cfi_startproc
  nop
  nop
  nop
  nop
  nop
  movl -63(%rsp), %eax
  ret
  .cfi_endproc
  .size reads_misaligned, . - reads_misaligned
  .popsection
)");
CODE(enters_with_check, "pushfq; orl $0x40000, (%rsp); popfq; call reads_misaligned");

HARD_CASE_OF(an_alignment_check_from_outside, "reads_misaligned",
             "SIGBUS code 1 trap 17 error 0 at 0x0 rip +5\n", .leaves = true) {
  const bool told = tells_fault(reinterpret_cast<uint64_t>(&reads_misaligned), enters_with_check);
  return told ? 0 : 1;
}

CODE(divide_by_zero, "xor %ecx, %ecx; divl %ecx");
CODE(divide_overflow, "mov $0x80000000, %eax; cltd; mov $-1, %ecx; idivl %ecx");
// Invalid (0 / 0) and division by zero unmasked.
CODE(sse_exception,
     "movl $0x1d00, -8(%rsp); ldmxcsr -8(%rsp); xorps %xmm0, %xmm0; movss one(%rip), %xmm1;"
     "divss %xmm0, %xmm1");
// x87 tells at the next instruction that waits.
CODE(x87_exception, "movl $0x37b, -8(%rsp); fldcw -8(%rsp); fld1; fldz; fdivrp; nop; fwait");
asm(".pushsection .rodata\none: .float 1\n.popsection");

HARD_CASE_OF(arithmetic_exceptions, "raise_fault",
             "SIGFPE code 1 trap 0 error 0 at +2 rip +2\n"
             "SIGFPE code 1 trap 0 error 0 at +11 rip +11\n"
             "SIGFPE code 3 trap 19 error 0 at +24 rip +24\n"
             "SIGFPE code 3 trap 16 error 0 at +19 rip +19\n",
             .leaves = true) {
  return tell_each(divide_by_zero, divide_overflow, sse_exception, x87_exception);
}

CODE(read_null, "xor %eax, %eax; mov 8(%rax), %eax");
CODE(write_null, "xor %eax, %eax; mov %eax, 8(%rax)");
CODE(read_kernel, "mov $0xffff800000001000, %rax; mov (%rax), %eax");
CODE(read_no_address, "mov $0x1234567812345678, %rax; mov (%rax), %eax");
CODE(read_no_stack, "push %rbp; mov $0x1234567812345678, %rbp; mov (%rbp), %rbp");

HARD_CASE_OF(bad_addresses, "raise_fault",
             "SIGSEGV code 1 trap 14 error 4 at 0x8 rip +2\n"
             "SIGSEGV code 1 trap 14 error 6 at 0x8 rip +2\n"
             "SIGSEGV code 1 trap 14 error 5 at 0xffff800000001000 rip +10\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +10\n"
             "SIGBUS code 128 trap 12 error 0 at 0x0 rip +11\n",
             .leaves = true) {
  return tell_each(read_null, write_null, read_kernel, read_no_address, read_no_stack);
}

// Where rip stands after a jump to nowhere.

CODE(jump_to_null, "xor %eax, %eax; jmp *%rax");
CODE(call_null, "xor %eax, %eax; call *%rax");
extern "C" {
uint8_t is_data = 0xc3;
}
CODE(jump_to_data, "lea is_data(%rip), %rax; jmp *%rax");
CODE(jump_to_kernel, "mov $0xffff800000001000, %rax; jmp *%rax");
CODE(jump_to_no_address, "mov $0x1234567812345678, %rax; jmp *%rax");
CODE(call_no_address, "mov $0x1234567812345678, %rax; call *%rax");
CODE(return_to_no_address, "mov $0x1234567812345678, %rax; push %rax; ret");
CODE(return_to_data, "lea is_data(%rip), %rax; push %rax; ret");

HARD_CASE_OF(jumps_to_what_cannot_be_executed, "raise_fault",
             "SIGSEGV code 1 trap 14 error 20 at 0x0 rip 0x0\n"
             "SIGSEGV code 1 trap 14 error 20 at 0x0 rip 0x0\n"
             "SIGSEGV code 1 trap 14 error 21 at 0xffff800000001000 rip 0xffff800000001000\n",
             .leaves = true) {
  return tell_each(jump_to_null, call_null, jump_to_kernel);
}

// AMD's processors and Intel's both refuse the jump itself.
HARD_CASE_OF(jumps_to_no_address, "raise_fault",
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +10\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +10\n"
             "SIGSEGV code 128 trap 13 error 0 at 0x0 rip +11\n",
             .leaves = true) {
  return tell_each(jump_to_no_address, call_no_address, return_to_no_address);
}

HARD_CASE_OF(jumps_to_data, "raise_fault",
             "SIGSEGV code 2 trap 14 error 21 at +0 rip +0\n"
             "SIGSEGV code 2 trap 14 error 21 at +0 rip +0\n",
             .leaves = true) {
  bool all = true;
  for (void (*f)() : {jump_to_data, return_to_data}) {
    next = f;
    all = tells_fault(reinterpret_cast<uint64_t>(&is_data), raise_next) && all;
  }
  return all ? 0 : 1;
}
