/* int selfheal_rescue_body(void (*body)(void*), void* argument)

   The region of all selfheal_rescue calls: calls body(argument) and returns 0. Its entry is patched like
   any other function's, and a fault in the body makes it return 1 instead. Code of ours that is the
   guest's, so it lies where the engine interprets (sections.ld). */

        .section .text.rescue, "ax", @progbits
        .globl  selfheal_rescue_body
        .hidden selfheal_rescue_body
        .type   selfheal_rescue_body, @function
        .p2align 4
selfheal_rescue_body:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register rbp
        mov     %rdi, %rax
        mov     %rsi, %rdi
        call    *%rax
        xor     %eax, %eax
        pop     %rbp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   selfheal_rescue_body, .-selfheal_rescue_body

        .section .note.GNU-stack, "", @progbits
