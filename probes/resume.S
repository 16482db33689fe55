/* Leaving without coming back: user-mode resume, faulting again, guarded calls, the last resort.

   Not in .text, which a region's engine may interpret (lib/runtime/sections.ld): a guarded call that
   begins in the engine has to end there. */
#include "probes/thread_offsets.h"
#include "probes/ucontext_offsets.h"

/* Fields of the xsave area's software-reserved bytes. */
#define FP_MAGIC1 464
#define FP_XFEATURES 472
#define XSTATE_MAGIC1 0x46505853

        .macro FUNCTION name
        .globl \name
        .hidden \name
        .type \name, @function
        .p2align 4
\name:
        .endm

/* From the ucontext at rdi; r8, rax and rdx are lost. */
        .macro RESTORE_VECTORS
        movq UC_FPREGS(%rdi), %r8
        testq %r8, %r8
        jz 2f
        cmpl $XSTATE_MAGIC1, FP_MAGIC1(%r8)
        jne 1f
        movl FP_XFEATURES(%r8), %eax
        movl FP_XFEATURES + 4(%r8), %edx
        xrstor64 (%r8)
        jmp 2f
1:      fxrstor64 (%r8)
2:
        .endm

/* All but rdi, rcx and rsp. */
        .macro RESTORE_MOST
        movq UC_R8(%rdi), %r8
        movq UC_R9(%rdi), %r9
        movq UC_R10(%rdi), %r10
        movq UC_R11(%rdi), %r11
        movq UC_R12(%rdi), %r12
        movq UC_R13(%rdi), %r13
        movq UC_R14(%rdi), %r14
        movq UC_R15(%rdi), %r15
        movq UC_RSI(%rdi), %rsi
        movq UC_RBP(%rdi), %rbp
        movq UC_RBX(%rdi), %rbx
        movq UC_RDX(%rdi), %rdx
        movq UC_RAX(%rdi), %rax
        .endm

        .section .native_text, "ax", @progbits

/* (rdi ucontext): rt_sigreturn without the system call. The mask is the caller's business.

   Nothing may be addressed through a register once all of them are the thread's again, so the last
   four words are popped, and the jump is a `ret` that also steps over the red zone:

        target rsp          ->  ...
                                red zone, 128
        target rsp - 136    ->  rip        popped by `ret $128`
                                rflags     popped by popfq
                                rdi
        target rsp - 160    ->  rcx
*/
FUNCTION selfheal_resume_user
        .cfi_startproc
        .cfi_undefined rip
        RESTORE_VECTORS
        movq UC_RSP(%rdi), %rcx
        subq $160, %rcx
        movq UC_RCX(%rdi), %rax
        movq %rax, (%rcx)
        movq UC_RDI(%rdi), %rax
        movq %rax, 8(%rcx)
        movq UC_EFL(%rdi), %rax
        movq %rax, 16(%rcx)
        movq UC_RIP(%rdi), %rax
        movq %rax, 24(%rcx)
        RESTORE_MOST
        movq %rcx, %rsp
        popq %rcx
        popq %rdi
        popfq
        ret $128
        .cfi_endproc
        .size selfheal_resume_user, . - selfheal_resume_user

/* (rdi ucontext): the same in order to fault again, where the thread's stack may be what is broken.
   Nothing is written there; the target is in a word of the process, since two threads that come here
   at once are one process that ends. */
FUNCTION selfheal_fault_again
        .cfi_startproc
        .cfi_undefined rip
        RESTORE_VECTORS
        movq UC_RIP(%rdi), %rax
        movq %rax, fault_again_at(%rip)
        pushq UC_EFL(%rdi)
        popfq
        RESTORE_MOST
        movq UC_RCX(%rdi), %rcx
        movq UC_RSP(%rdi), %rsp
        movq UC_RDI(%rdi), %rdi
        jmpq *fault_again_at(%rip)
        .cfi_endproc
        .size selfheal_fault_again, . - selfheal_fault_again
        .local fault_again_at
        .comm fault_again_at, 8, 8

/* bool (rdi function, rsi argument): see guarded() in hooks.h. A fault inside makes the signal
   handler resume at selfheal_guard_failed with rsp = Thread::guard. */
FUNCTION selfheal_guarded
        .cfi_startproc
        endbr64
        pushq %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        pushq %rbx
        .cfi_def_cfa_offset 24
        .cfi_offset rbx, -24
        pushq %r12
        .cfi_def_cfa_offset 32
        .cfi_offset r12, -32
        pushq %r13
        .cfi_def_cfa_offset 40
        .cfi_offset r13, -40
        pushq %r14
        .cfi_def_cfa_offset 48
        .cfi_offset r14, -48
        pushq %r15
        .cfi_def_cfa_offset 56
        .cfi_offset r15, -56
        movq selfheal_probe_thread@gottpoff(%rip), %rax
        pushq %fs:THREAD_GUARD(%rax)
        .cfi_def_cfa_offset 64
        subq $8, %rsp
        .cfi_def_cfa_offset 72
        stmxcsr (%rsp)
        fnstcw 4(%rsp)
        subq $8, %rsp
        .cfi_def_cfa_offset 80
        movq %rsp, %fs:THREAD_GUARD(%rax)
        movq %rdi, %rax
        movq %rsi, %rdi
        call *%rax
        movl $1, %eax
        jmp 1f
        .globl selfheal_guard_failed
        .hidden selfheal_guard_failed
selfheal_guard_failed:
        cld
        ldmxcsr 8(%rsp)
        fldcw 12(%rsp)
        xorl %eax, %eax
1:      addq $16, %rsp
        .cfi_def_cfa_offset 64
        movq selfheal_probe_thread@gottpoff(%rip), %rcx
        popq %fs:THREAD_GUARD(%rcx)
        .cfi_def_cfa_offset 56
        popq %r15
        .cfi_def_cfa_offset 48
        popq %r14
        .cfi_def_cfa_offset 40
        popq %r13
        .cfi_def_cfa_offset 32
        popq %r12
        .cfi_def_cfa_offset 24
        popq %rbx
        .cfi_def_cfa_offset 16
        popq %rbp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size selfheal_guarded, . - selfheal_guarded

/* (rdi low end of the alternate stack): the last resort where a filter forbids every system call
   that could help. Even below the red zone this is still on the alternate stack, but no signal frame fits,
   so the kernel ends the process by SIGSEGV. */
FUNCTION selfheal_die_without_system_calls
        .cfi_startproc
        .cfi_undefined rip
        leaq 256(%rdi), %rsp
        hlt
        .cfi_endproc
        .size selfheal_die_without_system_calls, . - selfheal_die_without_system_calls

        .section .note.GNU-stack,"",@progbits
