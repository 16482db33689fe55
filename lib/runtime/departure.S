/* void selfheal_land(const Landing*, u64 rax, u64 rdx)

   What longjmp does, to where nothing was set: the registers that a function keeps, the stack, and
   rax and rdx, in which a landing pad is given its exception and its selector. */

        .text
        .globl  selfheal_land
        .hidden selfheal_land
        .type   selfheal_land, @function
        .p2align 4
selfheal_land:
        .cfi_startproc
        .cfi_undefined rip              /* nobody returns from here */
        mov     (%rdi), %rcx
        mov     8(%rdi), %rsp
        mov     16(%rdi), %rbx
        mov     24(%rdi), %rbp
        mov     32(%rdi), %r12
        mov     40(%rdi), %r13
        mov     48(%rdi), %r14
        mov     56(%rdi), %r15
        mov     %rsi, %rax
        cld
        jmp     *%rcx
        .cfi_endproc
        .size   selfheal_land, .-selfheal_land

        .section .note.GNU-stack, "", @progbits
