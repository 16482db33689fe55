# The children that share our memory. Both functions return in the parent only.
    .text

# long selfheal_guest_vfork(const u64 registers[7], u64 leave)
#
# registers: rax rdi rsi rdx r10 r8 r9. The child leaves the engine by the trampoline at `leave`, to
# thread.guest. It runs on our stack until then and writes nothing but below this frame: the parent
# finds it as it was.
    .p2align 4
    .globl selfheal_guest_vfork
    .hidden selfheal_guest_vfork
    .type selfheal_guest_vfork, @function
selfheal_guest_vfork:
    .cfi_startproc
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    mov %rsi, %rbx
    mov 0(%rdi), %rax
    mov 16(%rdi), %rsi
    mov 24(%rdi), %rdx
    mov 32(%rdi), %r10
    mov 40(%rdi), %r8
    mov 48(%rdi), %r9
    mov 8(%rdi), %rdi
    syscall
    test %rax, %rax
    jz 1f
    pop %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    ret
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
1:  jmp *%rbx
    .cfi_endproc
    .size selfheal_guest_vfork, . - selfheal_guest_vfork

# long selfheal_guest_clone(const u64 registers[7], const u64 kept[6], u64 flags)
#
# kept: rbx rbp r12 r13 r14 r15. The child begins on its new stack with all of the guest's registers
# but rsi, rdi and rcx, which it finds there (clone.cpp): its thread pointer may be another one, so
# nothing of ours can be reached.
#
#     new stack's top ►
#                 - 8   where it goes on, as rcx is after a `syscall`
#                 -16   rdi
#     rsp ►       -24   rsi
    .p2align 4
    .globl selfheal_guest_clone
    .hidden selfheal_guest_clone
    .type selfheal_guest_clone, @function
selfheal_guest_clone:
    .cfi_startproc
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    push %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    push %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    push %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    push %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    push %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    mov 0(%rsi), %rbx
    mov 8(%rsi), %rbp
    mov 16(%rsi), %r12
    mov 24(%rsi), %r13
    mov 32(%rsi), %r14
    mov 40(%rsi), %r15
    mov %rdx, %r11
    mov 0(%rdi), %rax
    mov 16(%rdi), %rsi
    mov 24(%rdi), %rdx
    mov 32(%rdi), %r10
    mov 40(%rdi), %r8
    mov 48(%rdi), %r9
    mov 8(%rdi), %rdi
    pushfq
    .cfi_adjust_cfa_offset 8
    push %r11
    .cfi_adjust_cfa_offset 8
    popfq
    .cfi_adjust_cfa_offset -8
    syscall
    test %rax, %rax
    jz 1f
    popfq
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
1:  .cfi_undefined %rip
    push %r11               # the guest's flags, where `syscall` keeps them
    popfq
    pop %rsi
    pop %rdi
    pop %rcx
    jmp *%rcx
    .cfi_endproc
    .size selfheal_guest_clone, . - selfheal_guest_clone

    .section .note.GNU-stack, "", @progbits
