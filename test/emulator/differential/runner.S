# The processor's side: runs code from a full state and captures the state after it.
#
#   void differential_run_native(State*)       State: gpr[16] | rflags | rip | ... | vectors at +192
#   differential_native_done:                  where the snippet, or a signal handler, ends
#
# On the way out the stack pointer is the snippet's: nothing may be pushed before it is ours again.
    .set RFLAGS, 128
    .set RIP, 136
    .set VECTORS, 192

    .text
    .p2align 4
    .globl differential_run_native
    .type differential_run_native, @function
differential_run_native:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rdi, current(%rip)
    mov %rsp, host_sp(%rip)
    mov RIP(%rdi), %rax
    mov %rax, target(%rip)
    mov $0xe7, %eax
    xor %edx, %edx
    xrstor64 VECTORS(%rdi)
    pushq RFLAGS(%rdi)
    popfq
    mov 0(%rdi), %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 32(%rdi), %rsp
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
    mov 64(%rdi), %r8
    mov 72(%rdi), %r9
    mov 80(%rdi), %r10
    mov 88(%rdi), %r11
    mov 96(%rdi), %r12
    mov 104(%rdi), %r13
    mov 112(%rdi), %r14
    mov 120(%rdi), %r15
    mov 56(%rdi), %rdi
    jmp *target(%rip)
    .size differential_run_native, . - differential_run_native

    .p2align 4
    .globl differential_native_done
    .type differential_native_done, @function
differential_native_done:
    mov %rax, saved_rax(%rip)
    mov current(%rip), %rax
    mov %rsp, 32(%rax)
    mov host_sp(%rip), %rsp
    pushfq
    mov %rcx, 8(%rax)
    mov %rdx, 16(%rax)
    mov %rbx, 24(%rax)
    mov %rbp, 40(%rax)
    mov %rsi, 48(%rax)
    mov %rdi, 56(%rax)
    mov %r8, 64(%rax)
    mov %r9, 72(%rax)
    mov %r10, 80(%rax)
    mov %r11, 88(%rax)
    mov %r12, 96(%rax)
    mov %r13, 104(%rax)
    mov %r14, 112(%rax)
    mov %r15, 120(%rax)
    mov %rax, %rdi
    mov saved_rax(%rip), %rax
    mov %rax, 0(%rdi)
    pop %rax
    mov %rax, RFLAGS(%rdi)
    pushq $0x202            # not the snippet's AC, DF
    popfq
    mov $0xe7, %eax
    xor %edx, %edx
    xsave64 VECTORS(%rdi)
    fninit
    ldmxcsr default_mxcsr(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size differential_native_done, . - differential_native_done

    .data
    .p2align 3
current:
    .quad 0
host_sp:
    .quad 0
target:
    .quad 0
saved_rax:
    .quad 0
default_mxcsr:
    .long 0x1f80
    .section .note.GNU-stack, "", @progbits
