# Functions that write to stacks in every way; see test_elision.cpp.
    .text
.macro function name
    .globl \name
    .type \name, @function
\name:
.endm

# rdi: bytes. An alloca of that size, filled; the red zone; pushes.
function elision_own_frames
    push %rbp
    mov %rsp, %rbp
    sub %rdi, %rsp
    mov %rdi, %rcx
    mov %rsp, %rdi
    mov $0x77, %eax
    rep stosb
    mov %rax, -8(%rsp)
    mov %rax, -128(%rsp)
    push %rax
    pushfq
    mov %rbp, %rsp
    pop %rbp
    ret

# rdi: a buffer of 4096 bytes that becomes the stack for a moment, twice, with arithmetic on it.
function elision_other_stack
    mov %rsp, %rax
    mov $2, %ecx
    lea 2048(%rdi), %rsp
    push %rax
    movl $1, 64(%rsp)
    sub $16, %rsp
    push %rax
    mov %rax, %rsp
    lea 2048(%rdi), %rsp
    movl $2, 128(%rsp)
    push %rcx
    mov %rax, %rsp
    ret

# A stack that lies right below this one: 20 KiB lower. What is above its pointer belongs to somebody.
function elision_near_stack
    mov %rsp, %rax
    lea -20480(%rsp), %rdx
    mov %rdx, %rsp
    movq $1, 64(%rsp)
    push %rax
    sub $32, %rsp
    movq $2, 256(%rsp)
    mov %rax, %rsp
    mov %rdx, %rsp
    movq $3, 1024(%rsp)
    mov %rax, %rsp
    ret

# The caller's frame: the word above the return address, also by a store that begins below it. The
# return address itself is written with its own value.
function elision_callers_frame
    mov (%rsp), %rax
    incq 8(%rsp)
    mov %rax, (%rsp)
    movups (%rsp), %xmm0
    movups %xmm0, (%rsp)
    movl $5, 12(%rsp)
    ret

    .section .note.GNU-stack, "", @progbits
