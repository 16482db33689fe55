#include "emulator/guard.h"

#include "emulator/copy_bytes.h"

// u64 selfheal_guarded_call(Escape*, void (*f)(void*), void* argument)
// The landing place needs nothing but the registers in Escape: its stack frame holds the rest.
asm(R"(
  .pushsection .text
  .p2align 4
  .type selfheal_guarded_call, @function
  .hidden selfheal_guarded_call
selfheal_guarded_call:
  .cfi_startproc
  push %rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbp, 0
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  sub $8, %rsp
  .cfi_adjust_cfa_offset 48
  mov %rbx, 0(%rdi)
  mov %rbp, 8(%rdi)
  mov %r12, 16(%rdi)
  mov %r13, 24(%rdi)
  mov %r14, 32(%rdi)
  mov %r15, 40(%rdi)
  mov %rsp, 48(%rdi)
  lea 1f(%rip), %rax
  mov %rax, 56(%rdi)
  mov %rdx, %rdi
  call *%rsi
  mov $1, %eax
  jmp 2f
1:
  xor %eax, %eax
2:
  add $8, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  .cfi_adjust_cfa_offset -48
  pop %rbp
  .cfi_adjust_cfa_offset -8
  .cfi_restore %rbp
  ret
  .cfi_endproc
  .size selfheal_guarded_call, . - selfheal_guarded_call

  # u64 selfheal_call_on_stack(u64 stack, u64 function, const u64 arguments[6], const Thread*)
  #
  # To an unwinder the caller of this frame is not the engine but the guest, as if it had called the
  # function itself: its registers are in Thread::guest, whose address is kept at rbp - 8. So whoever
  # walks or unwinds the stack from in there (a cancellation, a backtrace, our own diagnosis) finds the
  # guest's frames.
  .macro FROM_GUEST register, offset
  .cfi_escape 0x10, \register, 5, 0x76, 0x78, 0x06, 0x23, \offset   # expression(*(rbp - 8) + offset)
  .endm
  .p2align 4
  .type selfheal_call_on_stack, @function
  .hidden selfheal_call_on_stack
selfheal_call_on_stack:
  .cfi_startproc
  push %rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbp, 0
  mov %rsp, %rbp
  .cfi_def_cfa_register %rbp
  push %rcx
  mov %rdi, %rsp
  mov %rsi, %rax
  mov %rdx, %r11
  mov 0(%r11), %rdi
  mov 8(%r11), %rsi
  mov 16(%r11), %rdx
  mov 24(%r11), %rcx
  mov 32(%r11), %r8
  mov 40(%r11), %r9
  .cfi_remember_state
  .cfi_escape 0x0f, 8, 0x76, 0x78, 0x06, 0x23, 32, 0x06, 0x23, 8   # CFA = guest.rsp + 8
  FROM_GUEST 3, 24     # rbx
  FROM_GUEST 6, 40     # rbp
  FROM_GUEST 12, 96    # r12
  FROM_GUEST 13, 104
  FROM_GUEST 14, 112
  FROM_GUEST 15, 120
  call *%rax
  mov %rbp, %rsp
  .cfi_restore_state
  pop %rbp
  .cfi_def_cfa %rsp, 8
  ret
  .cfi_endproc
  .size selfheal_call_on_stack, . - selfheal_call_on_stack
  .popsection
)");

namespace selfheal::emulator {

extern "C" u64 selfheal_guarded_call(Escape* escape, void (*f)(void*), void* argument);
extern "C" u64 selfheal_call_on_stack(u64 stack, u64 function, const u64* arguments,
                                      const Thread* thread);

static_assert(offsetof(Escape, rsp) == 48 && offsetof(Escape, rip) == 56);
static_assert(offsetof(Thread, guest) == 0 && rbx == 3 && rsp == 4 && rbp == 5 && r12 == 12);

bool guarded_call(Thread& thread, void (*f)(void*), void* argument) {
  const Escape escape = thread.escape;
  const ThreadState state = thread.state;
  thread.state = ThreadState::running;
  compiler_barrier();
  const bool completed = selfheal_guarded_call(&thread.escape, f, argument) != 0;
  compiler_barrier();
  thread.escape = escape;
  thread.state = state;
  if (!completed) {
    thread.escaped = false;
  }
  return completed;
}

u64 call_on_guest_stack(const Thread& thread, u64 function, u64 a, u64 b, u64 c, u64 d, u64 e,
                        u64 f) {
  const u64 arguments[6] = {a, b, c, d, e, f};
  return selfheal_call_on_stack(thread.guest.gpr[rsp] & ~u64{15}, function, arguments, &thread);
}

namespace {

constexpr u64 xsave_header = 512;
constexpr u64 components = 0xe7;  // x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM
constexpr u64 use_fxsave = 1;     // x87 alone: no processor has that with XSAVE

constinit u64 vector_components = 0;

// CPUID may take microseconds in a virtual machine, hence once. Two threads may both ask.
u64 detect_components() {
  u32 eax = 1;
  u32 ebx;
  u32 ecx = 0;
  u32 edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr u32 osxsave = 1U << 27;
  u64 mask = use_fxsave;
  if ((ecx & osxsave) != 0) {
    u32 low;
    u32 high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    mask = low & components;
  }
  __atomic_store_n(&vector_components, mask, __ATOMIC_RELAXED);
  return mask;
}

u64 components_in_use() {
  const u64 mask = __atomic_load_n(&vector_components, __ATOMIC_RELAXED);
  return mask != 0 ? mask : detect_components();
}

}  // namespace

VectorScope::VectorScope() {
  const u64 mask = components_in_use();
  if (mask == use_fxsave) {
    asm volatile("fxsave64 %0" : "=m"(area_));
    return;
  }
  // XSAVE leaves the header's other bits as they are; XRSTOR faults unless they are zero.
  zero_bytes(address_of(area_) + xsave_header, 64);
  asm volatile("xsave64 %0" : "+m"(area_) : "a"(mask), "d"(0));
}

VectorScope::~VectorScope() {
  const u64 mask = components_in_use();
  if (mask == use_fxsave) {
    asm volatile("fxrstor64 %0" : : "m"(area_));
    return;
  }
  asm volatile("xrstor64 %0" : : "m"(area_), "a"(mask), "d"(0));
}

}  // namespace selfheal::emulator
