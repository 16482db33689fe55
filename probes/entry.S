/* Where the kernel enters and handlers return: no place for C++.

   A signal frame, as the kernel lays it out (arch/x86/include/asm/sigframe.h) and as frame.h
   builds copies of it; rsp points at it when a handler starts:

       rsp ->  return address      8   the restorer; a handler `ret`s to it
               ucontext          304   registers, mask, pointer to the xsave area
               siginfo           128
               ...                     xsave area, 64-byte aligned, further up
                                       red zone of what was interrupted, 128
*/
#include "probes/ucontext_offsets.h"

#define FRAME_UCONTEXT 8

#define SYS_RT_SIGRETURN 15

        .macro FUNCTION name
        .globl \name
        .hidden \name
        .type \name, @function
        .p2align 4
\name:
        .endm

/* Unwind rules of a signal frame whose ucontext is at rsp: where each register of the interrupted
   code is kept. DW_CFA_def_cfa_expression (0x0f) and DW_CFA_expression (0x10), each with
   DW_OP_breg7 (0x77) and a two-byte SLEB128. The same as glibc's restorer, so that backtrace()
   in an application's handler passes through. */
        .macro SAVED register, offset
        .cfi_escape 0x10, \register, 3, 0x77, (\offset & 0x7f) | 0x80, (\offset >> 7) & 0x7f
        .endm
        .macro SIGNAL_FRAME
        .cfi_signal_frame
        .cfi_escape 0x0f, 4, 0x77, (UC_RSP & 0x7f) | 0x80, (UC_RSP >> 7) & 0x7f, 0x06
        SAVED 0, UC_RAX
        SAVED 1, UC_RDX
        SAVED 2, UC_RCX
        SAVED 3, UC_RBX
        SAVED 4, UC_RSI
        SAVED 5, UC_RDI
        SAVED 6, UC_RBP
        SAVED 7, UC_RSP
        SAVED 8, UC_R8
        SAVED 9, UC_R9
        SAVED 10, UC_R10
        SAVED 11, UC_R11
        SAVED 12, UC_R12
        SAVED 13, UC_R13
        SAVED 14, UC_R14
        SAVED 15, UC_R15
        SAVED 16, UC_RIP
        .endm

        .text

/* The kernel calls this. place_frame answers with the frame to go on with: this one, or a copy on
   our own stack when the kernel had to put it on the application's. */
FUNCTION selfheal_signal_entry
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        pushq $0x202    /* the kernel leaves the program's alignment check on */
        popfq
        movq %rdi, %rbx
        movq %rsp, %rdi
        subq $8, %rsp
        call selfheal_place_frame
        movq %rax, %rsp
        movl %ebx, %edi
        movq %rax, %rsi
        subq $8, %rsp
        call selfheal_on_signal
        addq $8 + FRAME_UCONTEXT, %rsp
        movl $SYS_RT_SIGRETURN, %eax
        syscall
        hlt
        .cfi_endproc
        .size selfheal_signal_entry, . - selfheal_signal_entry

/* sa_restorer: never reached by way of selfheal_signal_entry, but debuggers and unwinders know a
   signal frame by these very bytes. */
        .cfi_startproc
        SIGNAL_FRAME
        nop
FUNCTION selfheal_restorer
        movq $SYS_RT_SIGRETURN, %rax
        syscall
        .cfi_endproc
        .size selfheal_restorer, . - selfheal_restorer

/* (rdi frame, esi signal, rdx handler): runs an application's handler above a frame we built, as
   the kernel would have started it. The frame's return address is selfheal_handler_return. */
FUNCTION selfheal_run_handler
        .cfi_startproc
        .cfi_undefined rip
        movq %rdi, %rsp
        movl %esi, %edi
        movq %rdx, %rcx
        leaq FRAME_UCONTEXT + 304(%rsp), %rsi
        leaq FRAME_UCONTEXT(%rsp), %rdx
        xorl %eax, %eax
        jmpq *%rcx
        .cfi_endproc
        .size selfheal_run_handler, . - selfheal_run_handler

/* Where an application's handler returns to. rsp = its ucontext, which it may have changed. The nop
   belongs to the unwind range: unwinders look up the return address minus one. */
        .cfi_startproc
        SIGNAL_FRAME
        nop
FUNCTION selfheal_handler_return
        movq %rsp, %rdi
        call selfheal_on_handler_return
        movl $SYS_RT_SIGRETURN, %eax
        syscall
        hlt
        .cfi_endproc
        .size selfheal_handler_return, . - selfheal_handler_return

/* The kernel calls this for a wrapped handler (asynchronous.h). selfheal_on_asynchronous answers
   with the frame to run it on, and its address; or with no frame: it is kept for later. */
FUNCTION selfheal_asynchronous_entry
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        movq %rdi, %rbx
        movq %rsp, %rsi
        subq $8, %rsp
        call selfheal_on_asynchronous
        addq $8, %rsp
        testq %rax, %rax
        jz 1f
        movl %ebx, %esi
        movq %rax, %rdi
        movq FRAME_UCONTEXT + UC_RBX(%rax), %rbx
        jmp selfheal_run_handler
1:      addq $FRAME_UCONTEXT, %rsp
        movl $SYS_RT_SIGRETURN, %eax
        syscall
        hlt
        .cfi_endproc
        .size selfheal_asynchronous_entry, . - selfheal_asynchronous_entry

/* Where a handler returns to whose end hooks().handler_returned wants to know. rsp = its ucontext;
   the answer is the context to resume. */
        .cfi_startproc
        SIGNAL_FRAME
        nop
FUNCTION selfheal_kept_handler_return
        movq %rsp, %rdi
        call selfheal_on_kept_handler_return
        movq %rax, %rsp
        movl $SYS_RT_SIGRETURN, %eax
        syscall
        hlt
        .cfi_endproc
        .size selfheal_kept_handler_return, . - selfheal_kept_handler_return

/* (rdi ucontext) */
FUNCTION selfheal_return_to
        .cfi_startproc
        .cfi_undefined rip
        movq %rdi, %rsp
        movl $SYS_RT_SIGRETURN, %eax
        syscall
        hlt
        .cfi_endproc
        .size selfheal_return_to, . - selfheal_return_to

        .section .note.GNU-stack,"",@progbits
