/* selfheal_check_depth: a call of a checked function whose rsp is not above the thread's limit.

     on entry  [rsp+8] return address     judged where it stands, every register kept:
               [rsp]   region index         may go on ─► selfheal_enter_native, as if nothing had been
                                            too deep  ─► selfheal_refuse_call, on a stack of ours, as
                                                         the guest's may be nearly used up:
                                                           refused ─► a plain return
                                                           not     ─► every register back; native

       our stack   ┌────────────────────────────┐ top
                   │ vector registers (XSAVE)   │
                   ├────────────────────────────┤ ◄ what selfheal_judge_depth answers
                   │ RefusedCall                │

   A refused call has not begun, so all that its caller may rely on is in place: rbx, rbp, r12-r15
   are kept by the C function, MXCSR and the x87 control word are not touched (System V ABI, 3.2.1). */

        .text
        .globl  selfheal_check_depth
        .hidden selfheal_check_depth
        .type   selfheal_check_depth, @function
        .p2align 4
selfheal_check_depth:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        push    %rax
        push    %rcx
        .cfi_adjust_cfa_offset 16
        mov     selfheal_depth_guard@gottpoff(%rip), %rax
        mov     %rsp, %rcx
        sub     %fs:(%rax), %rcx        /* DepthGuard::low */
        cmp     %fs:8(%rax), %rcx       /* DepthGuard::span */
        jb      1f
        pop     %rcx
        pop     %rax
        .cfi_remember_state
        .cfi_adjust_cfa_offset -16
        jmp     selfheal_enter_native   /* another stack, of which nothing is known */
1:      .cfi_restore_state
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        .cfi_adjust_cfa_offset 56
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        mov     %rsp, %rbx
        .cfi_def_cfa_register %rbx
        mov     80(%rsp), %edi
        lea     88(%rsp), %rsi
        and     $-16, %rsp
        call    selfheal_judge_depth
        mov     %rbx, %rsp
        .cfi_def_cfa_register %rsp
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_same_value %rbx
        test    %rax, %rax
        jnz     3f
2:      pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        .cfi_remember_state
        .cfi_adjust_cfa_offset -72
        jmp     selfheal_enter_native

3:      .cfi_restore_state
        mov     72(%rsp), %edi
        lea     80(%rsp), %rsi
        mov     %rax, %rsp
        .cfi_undefined %rip             /* a debugger's backtrace ends on our stack */
        push    %rdi                    /* RefusedCall, from its end */
        push    %rsi
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %rbp
        push    %rbx
        mov     %rax, %rbx
        xor     %eax, %eax              /* the area's header (Intel SDM vol. 1, 13.4.2) */
        mov     %rax, 512(%rbx)
        mov     %rax, 520(%rbx)
        mov     %rax, 528(%rbx)
        mov     %rax, 536(%rbx)
        mov     %rax, 544(%rbx)
        mov     %rax, 552(%rbx)
        mov     %rax, 560(%rbx)
        mov     %rax, 568(%rbx)
        or      $-1, %eax
        or      $-1, %edx
        xsave64 (%rbx)
        mov     %rsp, %rdi
        call    selfheal_refuse_call
        test    %edx, %edx
        jz      4f
        mov     (%rsp), %rbx
        mov     48(%rsp), %rsp
        xor     %edx, %edx              /* what else a result may be in: a number that is not */
        xorps   %xmm0, %xmm0            /* whole is 0 */
        ret
4:      or      $-1, %eax
        or      $-1, %edx
        xrstor64 (%rbx)
        mov     (%rsp), %rbx
        mov     48(%rsp), %rsp
        sub     $80, %rsp               /* what was pushed above is still there */
        jmp     2b
        .cfi_endproc
        .size   selfheal_check_depth, .-selfheal_check_depth

        .hidden selfheal_judge_depth
        .hidden selfheal_depth_guard
        .hidden selfheal_refuse_call
        .hidden selfheal_enter_native
        .section .note.GNU-stack, "", @progbits
