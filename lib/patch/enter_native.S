/* selfheal_enter_native: from a region's cell to its native path (see stubs.h).

     on entry                 before the last jump
     [rsp+8] return address   [rsp]   return address        <- as at the function's entry
     [rsp]   region index     [rsp-8] native path

   No register is free and no flag may change, so the target goes where the index was, and is jumped
   to through the red zone: the kernel leaves 128 bytes below rsp alone when it delivers a signal
   (System V ABI, 3.2.2). A `ret` would do without it, but unbalances the return predictor and a
   shadow stack. A per-thread variable would not survive a signal handler that comes by here. */

        .text
        .globl  selfheal_enter_native
        .hidden selfheal_enter_native
        .type   selfheal_enter_native, @function
        .p2align 4
selfheal_enter_native:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        push    %rax
        .cfi_adjust_cfa_offset 8
        push    %rcx
        .cfi_adjust_cfa_offset 8
        mov     16(%rsp), %eax
        lea     selfheal_native_paths(%rip), %rcx
        mov     (%rcx,%rax,8), %rax
        mov     %rax, 16(%rsp)
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        pop     %rax
        .cfi_adjust_cfa_offset -8
        lea     8(%rsp), %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *-8(%rsp)
        .cfi_endproc
        .size   selfheal_enter_native, .-selfheal_enter_native

        .hidden selfheal_native_paths
        .section .note.GNU-stack, "", @progbits
