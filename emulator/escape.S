# u64 selfheal_call_with_escape(Escape* out, void (*f)(Thread*), Thread* t)
#
# Calls f(t) and returns. A fault inside may resume at `escape_point` with the registers that are in
# *out: the same return, by another way. The stack pointer kept is the one of entry, so that the
# return address is on top.
    .text
    .p2align 4
    .globl selfheal_call_with_escape
    .hidden selfheal_call_with_escape
    .type selfheal_call_with_escape, @function
selfheal_call_with_escape:
    .cfi_startproc
    mov %rbx, 0(%rdi)
    mov %rbp, 8(%rdi)
    mov %r12, 16(%rdi)
    mov %r13, 24(%rdi)
    mov %r14, 32(%rdi)
    mov %r15, 40(%rdi)
    mov %rsp, 48(%rdi)
    lea escape_point(%rip), %rax
    mov %rax, 56(%rdi)
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    mov %rdx, %rdi
    call *%rsi
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
escape_point:
    cld
    ret
    .cfi_endproc
    .size selfheal_call_with_escape, . - selfheal_call_with_escape

# [[noreturn]] void selfheal_jump_to_escape(const Escape*)
    .p2align 4
    .globl selfheal_jump_to_escape
    .hidden selfheal_jump_to_escape
    .type selfheal_jump_to_escape, @function
selfheal_jump_to_escape:
    mov 0(%rdi), %rbx
    mov 8(%rdi), %rbp
    mov 16(%rdi), %r12
    mov 24(%rdi), %r13
    mov 32(%rdi), %r14
    mov 40(%rdi), %r15
    mov 48(%rdi), %rsp
    jmp *56(%rdi)
    .size selfheal_jump_to_escape, . - selfheal_jump_to_escape

    .section .note.GNU-stack, "", @progbits
