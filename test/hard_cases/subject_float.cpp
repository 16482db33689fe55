// Floating-point, vector and direction state across a region's edge and inside it (issue 3, item
// 7).
#include <fenv.h>
#include <immintrin.h>
#include <math.h>

#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

constexpr unsigned flush_to_zero = 0x8000;
constexpr unsigned denormals_are_zero = 0x40;
volatile float smallest = 1e-38F;

}  // namespace

// The caller's modes hold in the region, and the region's hold when it returns.
REGION int halves_denormals() {
  const volatile float half = smallest * 0.25F;
  const volatile int flushed = half == 0;
  _mm_setcsr(_mm_getcsr() & ~(flush_to_zero | denormals_are_zero));
  const volatile float kept = smallest * 0.25F;
  in_engine(__LINE__);
  return flushed * 10 + (kept != 0 ? 1 : 0);
}

HARD_CASE_OF(flush_to_zero_and_denormals_are_zero, "halves_denormals", "11 1\n") {
  _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
  const int result = halves_denormals();
  say("%d %d\n", result, (_mm_getcsr() & (flush_to_zero | denormals_are_zero)) == 0);
  return 0;
}

REGION long double thirds(long double one) {
  const volatile long double x = one;  // divided twice
  const long double third = x / 3;
  fesetround(FE_DOWNWARD);
  const long double lower = x / 3;
  in_engine(__LINE__);
  return third - lower;
}

HARD_CASE_OF(x87_precision_and_rounding, "thirds", "0x8p-68 rounding down 1\n") {
  fesetround(FE_UPWARD);
  const long double difference = thirds(1);
  say("%La rounding down %d\n", difference, fegetround() == FE_DOWNWARD);
  return 0;
}

// A register stack that is not empty, at entry and at exit: what assembly code may do.
extern "C" void swaps_x87_stack();
asm(R"(
  .pushsection .text
  .p2align 4
  .globl swaps_x87_stack
  .type swaps_x87_stack, @function
swaps_x87_stack:
  .cfi_startproc
  fxch %st(1)
  fld1
  faddp
  nop
  ret
  .cfi_endproc
  .size swaps_x87_stack, . - swaps_x87_stack
  .popsection
)");

HARD_CASE_OF(the_x87_stack_across_a_region, "swaps_x87_stack", "11 20\n") {
  long double top = 20;
  long double below = 10;
  asm volatile(
      "fldt %[top]\n fldt %[below]\n fxch\n call swaps_x87_stack\n fstpt %[top]\n fstpt %[below]"
      : [top] "+m"(top), [below] "+m"(below)
      :
      : "rax", "memory");
  say("%Lg %Lg\n", top, below);
  return 0;
}

extern "C" uint64_t adds_mmx();
asm(R"(
  .pushsection .text
  .p2align 4
  .globl adds_mmx
  .type adds_mmx, @function
adds_mmx:
  .cfi_startproc
  paddw %mm1, %mm0
  paddw %mm0, %mm1
  nop
  ret
  .cfi_endproc
  .size adds_mmx, . - adds_mmx
  .popsection
)");

HARD_CASE_OF(mmx_across_a_region, "adds_mmx", "30003 50005\n") {
  uint64_t low = 0x10001;
  uint64_t high = 0x20002;
  asm volatile(
      "movq %[low], %%mm0\n movq %[high], %%mm1\n call adds_mmx\n"
      "movq %%mm0, %[low]\n movq %%mm1, %[high]\n emms"
      : [low] "+m"(low), [high] "+m"(high)
      :
      : "rax", "memory");
  say("%lx %lx\n", low, high);
  return 0;
}

// The direction flag set at entry, used, and set at exit.
extern "C" void copies_down();
asm(R"(
  .pushsection .text
  .p2align 4
  .globl copies_down
  .type copies_down, @function
copies_down:
  .cfi_startproc
  movsb
  mov $3, %ecx
  rep movsb
  nop
  ret
  .cfi_endproc
  .size copies_down, . - copies_down
  .popsection
)");

HARD_CASE_OF(the_direction_flag_across_a_region, "copies_down", "..abcd.. 400\n") {
  const char source[] = ".abcd";
  char target[] = "........";
  const char* from = source + 4;
  char* to = target + 5;
  uint64_t flags;
  asm volatile("std\n call copies_down\n pushfq\n cld\n pop %[flags]"
               : [flags] "=r"(flags), "+S"(from), "+D"(to)
               :
               : "rcx", "memory", "cc");
  say("%s %lx\n", target, flags & 0x400);
  return from == source && to == target + 1 ? 0 : 1;
}
