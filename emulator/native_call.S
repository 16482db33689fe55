# u64 selfheal_native_call(u64 function, const u64 arguments[7], const u64 stack[8], u64* rdx_out)
#
# arguments: rdi rsi rdx rcx r8 r9 rax. Sixteen-byte alignment of the stack at the call: eight words
# keep what the pushes below make.
    .text
    .p2align 4
    .globl selfheal_native_call
    .hidden selfheal_native_call
    .type selfheal_native_call, @function
selfheal_native_call:
    .cfi_startproc
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    push %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    mov %rsp, %rbp
    .cfi_def_cfa_register %rbp
    sub $8, %rsp
    mov %rcx, %rbx
    mov %rdi, %r11
    mov %rsi, %r10
    mov $8, %ecx
1:  push -8(%rdx, %rcx, 8)
    dec %ecx
    jnz 1b
    mov 0(%r10), %rdi
    mov 8(%r10), %rsi
    mov 16(%r10), %rdx
    mov 24(%r10), %rcx
    mov 32(%r10), %r8
    mov 40(%r10), %r9
    mov 48(%r10), %rax
    call *%r11
    cld
    mov %rdx, (%rbx)
    mov %rbp, %rsp
    pop %rbp
    .cfi_def_cfa %rsp, 16
    pop %rbx
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size selfheal_native_call, . - selfheal_native_call

    .section .note.GNU-stack, "", @progbits
