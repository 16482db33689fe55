// A module with one function whose third instruction reads through a NULL pointer, for tests of
// `selfheal info`. Assembled, so that offsets do not depend on a compiler.
        .text
        .globl handle_request
        .type handle_request, @function
handle_request:
        .cfi_startproc
        push %rbx
        .cfi_adjust_cfa_offset 8
        xor %edi, %edi
        mov 0x18(%rdi), %eax            // at +3
        pop %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size handle_request, . - handle_request
        .section .note.GNU-stack, "", @progbits
