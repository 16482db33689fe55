// Every instruction is a place to fault: run real code one instruction at a time, unwind at each of
// them, and demand the registers that the outermost, known caller has.
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>

#include "lib/image/module.h"
#include "lib/recover/unwind.h"
#include "test/recover/machine_context.h"

using namespace selfheal;

extern "C" {
void stepped_call(void (*function)());
extern const char stepped_return[];
u64 stepped_rsp;
}

// Puts known values into the callee-saved registers and calls with the trap flag set.
asm(R"(
        .pushsection .text
        .globl stepped_call, stepped_return
        .type stepped_call, @function
stepped_call:
        .cfi_startproc
        push %rbx
        .cfi_adjust_cfa_offset 8
        push %rbp
        .cfi_adjust_cfa_offset 8
        push %r12
        .cfi_adjust_cfa_offset 8
        push %r13
        .cfi_adjust_cfa_offset 8
        push %r14
        .cfi_adjust_cfa_offset 8
        push %r15
        .cfi_adjust_cfa_offset 8
        sub $8, %rsp
        .cfi_adjust_cfa_offset 8
        mov %rsp, stepped_rsp(%rip)
        mov $0x1111111111111111, %rbx
        mov $0x2222222222222222, %rbp
        mov $0x3333333333333333, %r12
        mov $0x4444444444444444, %r13
        mov $0x5555555555555555, %r14
        mov $0x6666666666666666, %r15
        pushfq
        orq $0x100, (%rsp)
        popfq
        call *%rdi
stepped_return:
        pushfq
        andq $~0x100, (%rsp)
        popfq
        add $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop %r15
        .cfi_adjust_cfa_offset -8
        pop %r14
        .cfi_adjust_cfa_offset -8
        pop %r13
        .cfi_adjust_cfa_offset -8
        pop %r12
        .cfi_adjust_cfa_offset -8
        pop %rbp
        .cfi_adjust_cfa_offset -8
        pop %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size stepped_call, .-stepped_call
        .popsection
)");

namespace {

struct Tally {
  unsigned steps = 0;
  unsigned right = 0;
  unsigned wrong = 0;  // the caller was found with other registers than it had
  unsigned lost = 0;   // the walk ended before the caller
  u64 first_failure = 0;
} tally;

bool is_the_caller(const recover::Frame& frame) {
  const auto& gpr = frame.registers.gpr;
  return gpr[rsp] == stepped_rsp && gpr[rbx] == 0x1111111111111111 &&
         gpr[rbp] == 0x2222222222222222 && gpr[r12] == 0x3333333333333333 &&
         gpr[r13] == 0x4444444444444444 && gpr[r14] == 0x5555555555555555 &&
         gpr[r15] == 0x6666666666666666 && (frame.known & 0xf028) == 0xf028;
}

void on_trap(int, siginfo_t*, void* context) {
  const Registers start = test::registers_of(*static_cast<ucontext_t*>(context));
  if (start.gpr[rsp] >= stepped_rsp || start.rip - address_of_function(&stepped_call) < 256) {
    return;  // in stepped_call itself
  }
  ++tally.steps;
  static recover::Frame frames[64];
  // Below the stack pointer only the red zone is anybody's.
  const recover::StackBounds bounds{start.gpr[rsp] - 128, stepped_rsp + 0x100};
  const unsigned count = recover::unwind(start, bounds, frames);
  for (unsigned i = 1; i < count; ++i) {
    if (frames[i].registers.rip == address_of(stepped_return)) {
      if (is_the_caller(frames[i])) {
        ++tally.right;
        return;
      }
      ++tally.wrong;
      break;
    }
    tally.lost += i + 1 == count;
  }
  tally.lost += count == 1;
  if (tally.first_failure == 0) {
    tally.first_failure = start.rip;
  }
}

Tally stepped(void (*function)()) {
  struct sigaction action {};
  struct sigaction old {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &old);
  tally = {};
  stepped_call(function);
  sigaction(SIGTRAP, &old, nullptr);
  return tally;
}

void check(void (*function)(), unsigned least_steps, unsigned excused = 0) {
  const Tally result = stepped(function);
  image::Module module{};
  if (result.first_failure != 0 && image::find_module(result.first_failure, module)) {
    UNSCOPED_INFO("first failure in " << image::base_name(module) << " at +0x" << std::hex
                                      << module.offset_of(result.first_failure));
  }
  CHECK(result.steps >= least_steps);
  INFO(result.wrong << " wrong, " << result.lost << " lost");
  CHECK(result.right + excused >= result.steps);
}

int compare(const void* a, const void* b) {
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

int sink;

void sort_numbers() {
  int numbers[20];
  for (int i = 0; i < 20; ++i) {
    numbers[i] = i * 7 % 20;
  }
  qsort(numbers, 20, sizeof numbers[0], compare);
  sink = numbers[3];
}

void print_and_parse() {
  char text[128];
  std::snprintf(text, sizeof text, "%g %s %08lx %d", 3.25, "words", 0xbeefUL, -17);
  sink = static_cast<int>(std::strtod(text, nullptr)) + static_cast<int>(std::string(text).size());
}

void throw_and_catch() {
  try {
    throw std::runtime_error("expected");
  } catch (const std::exception& e) {
    sink = e.what()[0];
  }
}

void use_the_vdso() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  sink = static_cast<int>(now.tv_sec);
}

int recursive(int n) {
  volatile char room[64];
  room[0] = static_cast<char>(n);
  return n <= 0 ? room[0] : recursive(n - 1) + room[0];
}

void recurse() {
  sink = recursive(12);
}

}  // namespace

TEST_CASE("the caller is found from every instruction of sorting with a call-back", "[unwind]") {
  check(sort_numbers, 1000);
}

TEST_CASE("the caller is found from every instruction of printf, strtod and lazy binding",
          "[unwind]") {
  check(print_and_parse, 1000);
}

TEST_CASE("the caller is found from every instruction of throwing an exception", "[unwind]") {
  // The last instructions of libgcc's _Unwind_RaiseException switch stacks; no CFI describes them.
  check(throw_and_catch, 3000, 3);
}

TEST_CASE("the caller is found from every instruction in the vdso", "[unwind]") {
  check(use_the_vdso, 20);
}

TEST_CASE("the caller is found from every instruction of a recursion", "[unwind]") {
  check(recurse, 60);
}
