// The plain ways out of a region, and what code in it sees of its own stack (issue 3, item 5).
#include <execinfo.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "test/hard_cases/subject.h"

using namespace hard;

// The plainest of all: what all others rest on.
HARD_CASE(a_region_returns, "in the region\n") {
  in_engine(__LINE__);
  say("in the region\n");
  in_engine(__LINE__);
  return 0;
}

// What our wrapper in front of read() lets the kernel write is the region's own doing.
namespace {

int ends[2];
char buffer[] = "old";

}  // namespace

REGION int reads_and_fails() {
  read(ends[0], buffer, 3);
  in_engine(__LINE__);
  return fail();
}

HARD_CASE_OF(what_read_filled_is_rolled_back, "reads_and_fails", "0 old\n") {
  pipe(ends);
  write(ends[1], "new", 3);
  const int result = reads_and_fails();
  as_rolled_back([] { memcpy(buffer, "old", 3); });
  say("%d %s\n", result, buffer);
  return 0;
}

// A tail call as the last act: the region ends where the function that it jumps to returns.
extern "C" long tail_calls(long);
extern "C" long double_it(long);
asm(R"(
  .pushsection .text
  .type tail_calls, @function
  .globl tail_calls
tail_calls:
  .cfi_startproc
  add $1, %rdi
  jmp double_it
  .cfi_endproc
  .size tail_calls, . - tail_calls
  .popsection
)");
REGION long double_it(long x) {
  in_engine(__LINE__);
  return 2 * x;
}

HARD_CASE_OF(a_tail_call_is_the_last_act, "tail_calls", "42\n") {
  say("%ld\n", tail_calls(20));
  return 0;
}

// `ret imm`, as 32-bit conventions have it: the callee removes its arguments.
extern "C" long pops_its_arguments();
asm(R"(
  .pushsection .text
  .type pops_its_arguments, @function
  .globl pops_its_arguments
pops_its_arguments:
  .cfi_startproc
  mov 8(%rsp), %rax
  sub 16(%rsp), %rax
  ret $16
  .cfi_endproc
  .size pops_its_arguments, . - pops_its_arguments
  .popsection
)");

HARD_CASE_OF(a_region_returns_with_ret_imm, "pops_its_arguments", "7 0\n") {
  long result;
  long moved;
  asm volatile(
      "sub $128, %%rsp\n\tmov %%rsp, %%rbx\n\tpush $5\n\tpush $12\n\tcall pops_its_arguments\n\t"
      "sub %%rsp, %%rbx\n\tadd %%rbx, %%rsp\n\tadd $128, %%rsp"
      : "=a"(result), "=b"(moved)
      :
      : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
  say("%ld %ld\n", result, moved);
  return 0;
}

// A region that changes its own return address goes where it says, natively.
extern "C" long returns_elsewhere();
asm(R"(
  .pushsection .text
  .type returns_elsewhere, @function
  .globl returns_elsewhere
returns_elsewhere:
  .cfi_startproc
  mov %rdi, (%rsp)
  mov $1, %eax
  ret
  .cfi_endproc
  .size returns_elsewhere, . - returns_elsewhere
  .popsection
)");

HARD_CASE_OF(a_region_rewrites_its_return_address, "returns_elsewhere", "elsewhere 1\n",
             .leaves = true) {
  long result = 0;
  asm volatile(
      "sub $128, %%rsp\n\tlea 1f(%%rip), %%rdi\n\tcall returns_elsewhere\n\txor %%eax, %%eax\n"
      "1:\tadd $128, %%rsp"
      : "=a"(result)
      :
      : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
  say("elsewhere %ld\n", result);
  return 0;
}

namespace {

struct Walk {
  void* frames[32];
  int count;
};

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* data) {
  auto& walk = *static_cast<Walk*>(data);
  if (walk.count < 32 && _Unwind_GetIP(context) != 0) {
    walk.frames[walk.count++] = reinterpret_cast<void*>(_Unwind_GetIP(context));
  }
  return _URC_NO_REASON;
}

Walk walked;

}  // namespace

REGION int walks_the_stack() {
  walked.count = backtrace(walked.frames, 32);
  in_engine(__LINE__);
  return 0;
}

REGION int walks_with_the_unwinder() {
  walked.count = 0;
  _Unwind_Backtrace(note_frame, &walked);
  in_engine(__LINE__);
  return 0;
}

namespace {

// The same walk from the same frame twice: once as the region, once by its native twin.
template <typename Walker>
[[gnu::noinline]] void compare_walks(Walker region) {
  void* again[32];
  const int count = backtrace(again, 32);
  region();
  bool same = walked.count > 4;
  // The walker's own frame is extra, and this frame stands elsewhere in its code.
  for (int i = 2; i < count && i + 1 < walked.count; ++i) {
    same = same && walked.frames[walked.count - i + 1] == again[count - i + 1];
  }
  say("%s\n", same ? "the same callers" : "other callers");
}

}  // namespace

HARD_CASE_OF(backtrace_in_a_region_sees_its_callers, "walks_the_stack", "the same callers\n") {
  compare_walks(walks_the_stack);
  return 0;
}

HARD_CASE_OF(the_unwinder_in_a_region_sees_its_callers, "walks_with_the_unwinder",
             "the same callers\n") {
  compare_walks(walks_with_the_unwinder);
  return 0;
}

// A region that a region calls is part of the outer one.
REGION int inner(int x) {
  in_engine(__LINE__);
  return x + 1;
}

REGION int outer(int x) {
  const int y = inner(2 * x);
  in_engine(__LINE__);
  return y;
}

HARD_CASE_OF(a_region_calls_a_region, "outer inner", "5 3\n") {
  const int a = outer(2);
  say("%d %d\n", a, inner(2));
  return 0;
}

REGION long factorial(long n) {
  in_engine(__LINE__);
  return n < 2 ? 1 : n * factorial(n - 1);
}

HARD_CASE_OF(a_region_recurses, "factorial", "3628800\n") {
  say("%ld\n", factorial(10));
  return 0;
}
