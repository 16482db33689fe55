/* u64 selfheal_test_probe(u64 function, Probe* seen): fills every register and the flags with known
   values, calls the function and stores what it sees; so does selfheal_test_body, which is what the
   patched function consists of. See test_stubs.cpp for the layout of Probe. */
        .text
        .globl  selfheal_test_probe
        .type   selfheal_test_probe, @function
selfheal_test_probe:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rsi
        mov     %rsi, selfheal_test_seen(%rip)
        mov     %rdi, selfheal_test_callee(%rip)
        mov     %rsp, 128(%rsi)                 /* expected: rsp at entry = this - 8 */
        movdqu  192(%rsi), %xmm0
        movdqu  192(%rsi), %xmm15
        mov     136(%rsi), %rax
        push    %rax
        mov     $0x1001, %rax
        mov     $0x1002, %rcx
        mov     $0x1003, %rdx
        mov     $0x1004, %rbx
        mov     $0x1006, %rbp
        mov     $0x1007, %rsi
        mov     $0x1008, %rdi
        mov     $0x1009, %r8
        mov     $0x100a, %r9
        mov     $0x100b, %r10
        mov     $0x100c, %r11
        mov     $0x100d, %r12
        mov     $0x100e, %r13
        mov     $0x100f, %r14
        mov     $0x1010, %r15
        popfq
        call    *selfheal_test_callee(%rip)
        cld
        pop     %rsi
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .size   selfheal_test_probe, .-selfheal_test_probe

        /* Stores all registers as they are on arrival. */
        .globl  selfheal_test_body
        .type   selfheal_test_body, @function
selfheal_test_body:
        nop                                     /* what the patch covers: five movable bytes */
        nop
        nop
        nop
        nop
        push    %rax
        pushfq
        mov     selfheal_test_seen(%rip), %rax
        mov     %rcx, 8(%rax)
        pop     %rcx
        mov     %rcx, 144(%rax)                 /* flags */
        pop     %rcx
        mov     %rcx, 0(%rax)
        mov     %rdx, 16(%rax)
        mov     %rbx, 24(%rax)
        mov     %rsp, 32(%rax)
        mov     %rbp, 40(%rax)
        mov     %rsi, 48(%rax)
        mov     %rdi, 56(%rax)
        mov     %r8, 64(%rax)
        mov     %r9, 72(%rax)
        mov     %r10, 80(%rax)
        mov     %r11, 88(%rax)
        mov     %r12, 96(%rax)
        mov     %r13, 104(%rax)
        mov     %r14, 112(%rax)
        mov     %r15, 120(%rax)
        movdqu  %xmm0, 208(%rax)
        movdqu  %xmm15, 224(%rax)
        mov     (%rsp), %rcx
        mov     %rcx, 152(%rax)                 /* return address */
        ret
        .size   selfheal_test_body, .-selfheal_test_body

        .bss
        .globl  selfheal_test_seen
        .p2align 3
selfheal_test_seen:
        .zero   8
selfheal_test_callee:
        .zero   8
        .section .note.GNU-stack, "", @progbits
