# A function whose frame changes within its first bytes, one that has no frame, and one that pops
# something behind a store.
        .text
        .globl  with_prologue
        .type   with_prologue, @function
with_prologue:
        .cfi_startproc
        endbr64
        push    %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        .rept   20
        mov     %rdi, %rbx
        .endr
        test    %rdi, %rdi
        je      1f
        inc     %rbx
1:      mov     %rbx, (%rsi)
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        pop     %r15
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   with_prologue, . - with_prologue

        .globl  without_frame
        .type   without_frame, @function
without_frame:
        .cfi_startproc
        .rept   20
        mov     %rdi, %rax
        .endr
        ret
        .cfi_endproc
        .size   without_frame, . - without_frame

        .section .note.GNU-stack, "", @progbits
