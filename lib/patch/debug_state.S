/* selfheal_on_debug_state: what ld.so's call of `_r_debug.r_brk` comes to (see module_watch.h).

   The loader believes that it calls an empty function of its own, and its compiler may know which
   registers that leaves alone: all general-purpose registers and the flags are kept. Vector
   registers need no care: ld.so is built without them (glibc, sysdeps/x86/Makefile, rtld-CFLAGS),
   and whoever called dlopen keeps nothing in them across the call (System V ABI, 3.2.1). */

        .text
        .globl  selfheal_on_debug_state
        .hidden selfheal_on_debug_state
        .type   selfheal_on_debug_state, @function
        .p2align 4
selfheal_on_debug_state:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushfq
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        and     $-16, %rsp
        cld
        call    selfheal_modules_event
        lea     -80(%rbp), %rsp
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        popfq
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        jmp     *selfheal_debug_state_native(%rip)
        .cfi_endproc
        .size   selfheal_on_debug_state, .-selfheal_on_debug_state

        .hidden selfheal_modules_event
        .hidden selfheal_debug_state_native
        .section .note.GNU-stack, "", @progbits
