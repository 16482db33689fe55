# A function whose frame changes within its first bytes, and that pops something behind a store; one
# that has no frame; and one that may call others, and calls abort().
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

        .globl  aligned
        .type   aligned, @function
aligned:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        .rept   20
        mov     %rdi, %rbx
        .endr
        call    abort@plt
        .cfi_endproc
        .size   aligned, . - aligned

        .section .note.GNU-stack, "", @progbits
