# Calls a random program, natively or as a region: the caller whose frame and registers have to be
# as they were. A program that faults natively is resumed at rollback_run_ended.
#
#   rollback_run(target, start, end): loads rbx rbp r12-r15 from start[6], calls target, stores
#   them and rax to end[7]. rsp at the call is `caller_depth` below that of the call of rollback_run; what is
#   between is the caller's frame: 256 bytes of buffer, whose address is in r13.
#include "test/emulator/rollback/layout.h"

    .data
    .globl rollback_look
    .type rollback_look, @object
    .size rollback_look, 8
rollback_look:
    .quad 0
    .p2align 6
    .globl rollback_vectors
    .type rollback_vectors, @object
    .size rollback_vectors, 4096
rollback_vectors:
    .zero 4096
    .globl rollback_caller_sp
    .type rollback_caller_sp, @object
    .size rollback_caller_sp, 8
rollback_caller_sp:
    .quad 0

target:
    .quad 0

    .text
    .p2align 4
    .globl rollback_run
    .type rollback_run, @function
rollback_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    sub $256, %rsp
    mov rollback_caller_sp@GOTPCREL(%rip), %rax
    mov %rsp, (%rax)
    mov %rdi, %r12
    mov %rsi, %rbx
    mov %rsp, %rdi
    mov $0x3c, %eax
    mov $256, %ecx
    rep stosb
    xor %edi, %edi
    mov rollback_look@GOTPCREL(%rip), %rax
    call *(%rax)
    # What the program's frames do not write is the same natively and in the engine.
    lea -STACK_BELOW(%rsp), %rdi
    mov $0xd1, %eax
    mov $STACK_BELOW, %ecx
    rep stosb
    mov $0xe7, %eax
    xor %edx, %edx
    mov rollback_vectors@GOTPCREL(%rip), %rcx
    xrstor64 (%rcx)
    mov %r12, target(%rip)
    mov %rbx, %rsi
    mov 0(%rsi), %rbx
    mov 8(%rsi), %rbp
    mov 16(%rsi), %r12
    mov 32(%rsi), %r14
    mov 40(%rsi), %r15
    mov %rsp, %r13
    xor %eax, %eax
    xor %ecx, %ecx
    xor %edx, %edx
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    xor %esi, %esi
    xor %edi, %edi
    call *target(%rip)
    .globl rollback_run_ended
    .type rollback_run_ended, @function
rollback_run_ended:
    cld
    fninit
    mov rollback_caller_sp@GOTPCREL(%rip), %rcx
    mov (%rcx), %rcx
    mov 256(%rcx), %rdx
    mov %rbx, 0(%rdx)
    mov %rbp, 8(%rdx)
    mov %r12, 16(%rdx)
    mov %r13, 24(%rdx)
    mov %r14, 32(%rdx)
    mov %r15, 40(%rdx)
    mov %rax, 48(%rdx)
    mov %rcx, %rsp
    mov $1, %edi
    mov rollback_look@GOTPCREL(%rip), %rax
    call *(%rax)
    add $264, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size rollback_run, . - rollback_run
    .section .note.GNU-stack, "", @progbits
