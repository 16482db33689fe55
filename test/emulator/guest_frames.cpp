// Code that overwrites return addresses and canaries, by mistake and on purpose. The overflowing
// stores go through pointers the compiler knows nothing of.
#include <cstdint>
#include <unistd.h>

#define BARE __attribute__((noinline, no_stack_protector))
#define WITH_CANARY __attribute__((noinline))  // by -fstack-protector-all

using u8 = uint8_t;
using u64 = uint64_t;

namespace {

template <typename T>
T* hidden(T* pointer) {
  asm volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

BARE void copy(u8* to, const u8* from, u64 n) {
  for (u64 i = 0; i < n; ++i) {
    hidden(to)[i] = from[i];
  }
}

BARE void copy_by_processor(u8* to, const u8* from, u64 n) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

}  // namespace

extern "C" {

WITH_CANARY u64 guest_overflow(const u8* data, u64 n) {
  u8 buffer[16];
  copy(hidden(buffer), data, n);
  return buffer[0];
}

BARE u64 guest_overflow_bare(const u8* data, u64 n) {
  u8 buffer[16];
  copy(hidden(buffer), data, n);
  return buffer[0];
}

BARE u64 guest_overflow_by_string(const u8* data, u64 n) {
  u8 buffer[16];
  copy_by_processor(hidden(buffer), data, n);
  return buffer[0];
}

// Told the kernel that there is more room than there is.
BARE u64 guest_overflow_by_kernel(int descriptor, u64 n) {
  u8 buffer[16];
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(0), "D"(descriptor), "S"(hidden(buffer)), "d"(n)
               : "rcx", "r11", "memory");
  return static_cast<u64>(result);
}

BARE u64 guest_overflow_word(u64 index, u64 value) {
  u64 words[2] = {};
  hidden(words)[index] = value;
  return words[0];
}

// A healthy program: the canary of the frame left by the tail call lies in the new frame's buffer.
WITH_CANARY u64 guest_fill_frame(u64 n) {
  u8 buffer[400];
  u8* to = hidden(buffer);
  for (u64 i = 0; i < n && i < sizeof buffer; ++i) {
    to[i] = static_cast<u8>(i);
  }
  return hidden(buffer)[n - 1];
}

WITH_CANARY u64 guest_tail_call(u64 n) {
  u8 buffer[64];
  copy(hidden(buffer), reinterpret_cast<const u8*>("0123456789"), 10);
  const u64 more = hidden(buffer)[9] == '9' ? 0 : 1;
  return guest_fill_frame(n + more);
}

WITH_CANARY u64 guest_deep(u64 depth) {
  volatile u8 buffer[8] = {static_cast<u8>(depth)};
  return depth == 0 ? 0 : guest_deep(depth - 1) + buffer[0] / 256 + 1;
}

BARE u64 guest_seven() {
  return 7;
}
}

// Idioms. guest_retpoline(f): jumps to f by a return. guest_call_pop: its slot becomes a local's.
// guest_spill(a, b): both are one local, in turn. guest_coroutine(a): runs code on a stack that is
// an array in its frame, leaves it in the middle of a call, and uses the array for `a`.
asm(R"(
  .text
  .globl guest_retpoline
  .type guest_retpoline, @function
guest_retpoline:
  call 1f
2: pause
  jmp 2b
1: mov %rdi, (%rsp)
  ret
  .globl guest_exchange
  .type guest_exchange, @function
guest_exchange:
  call 1f
2: pause
  jmp 2b
1: xchg %rdi, (%rsp)
  ret
  .globl guest_push_return
  .type guest_push_return, @function
guest_push_return:
  push %rdi
  ret
  .globl guest_spill
  .type guest_spill, @function
guest_spill:
  sub $24, %rsp
  mov %rdi, 8(%rsp)
  mov %rsi, 8(%rsp)
  mov 8(%rsp), %rax
  add $24, %rsp
  ret
  .globl guest_coroutine
  .type guest_coroutine, @function
guest_coroutine:
  push %rbx
  sub $16384, %rsp
  mov %rsp, %rbx
  lea 16000(%rsp), %rax
  call 1f
  jmp 3f
1: mov %rax, %rsp
  call 2f
  ud2
2: lea -8(%rbx), %rsp
  ret
3: lea 15992(%rsp), %rdx
  mov %rdi, (%rdx)
  mov (%rdx), %rax
  add $16384, %rsp
  pop %rbx
  ret
  .globl guest_call_pop
  .type guest_call_pop, @function
guest_call_pop:
  call 1f
1: pop %rax
  sub $64, %rsp
  lea 56(%rsp), %rdx
  mov %rdi, (%rdx)
  mov 56(%rsp), %rax
  add $64, %rsp
  ret
  .globl guest_drop_call
  .type guest_drop_call, @function
guest_drop_call:
  call 1f
  ud2
1: add $8, %rsp
  lea -8(%rsp), %rdx
  sub $64, %rsp
  mov %rdi, (%rdx)
  mov (%rdx), %rax
  add $64, %rsp
  ret
)");
