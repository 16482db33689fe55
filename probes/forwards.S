/* libc functions we stand in front of only to look, by table.

   Each wrapper leaves every argument (on the stack too: execl is variadic) and the caller's frame
   as they are and jumps to the next definition: cancellation, errno and unwinding are libc's own.

       read:    ++thread.progress; if (*generation_word + news != thread.seen) look(); jmp *next
       accept:  the same, and the process is known to serve others
       poll:    as read, but look() is told that nothing is taken by this call
       write:   ++thread.progress; jmp *next
       fgets:   if (*generation_word + news != thread.seen) look(); jmp *next
       execve:  before_exec(arguments); jmp *next

   A `next` slot starts out at a stub that looks the definition up: nothing depends on who is
   called first. next.cpp fills all slots at start-up. */
#include "probes/thread_offsets.h"

        .macro FUNCTION name
        .globl \name
        .type \name, @function
        .p2align 4
\name:
        .endm

/* The slot selfheal_next_NAME, its entry {name, slot} in the table, and its stub. */
        .macro NEXT name
        .section .rodata.str1.1, "aMS", @progbits, 1
.Lname_\name: .asciz "\name"
        .data
        .p2align 3
        .globl selfheal_next_\name
        .hidden selfheal_next_\name
selfheal_next_\name: .quad .Lstub_\name
        .section selfheal_next_table, "aw", @progbits
.Lentry_\name: .quad .Lname_\name, selfheal_next_\name
        .text
.Lstub_\name:
        endbr64
        leaq .Lentry_\name(%rip), %r11
        jmp selfheal_resolve_and_jump
        .endm

        .macro PUSH_ARGUMENTS
        pushq %rax
        pushq %rdi
        pushq %rsi
        pushq %rdx
        pushq %rcx
        pushq %r8
        pushq %r9
        .cfi_adjust_cfa_offset 56
        .endm
        .macro POP_ARGUMENTS
        popq %r9
        popq %r8
        popq %rcx
        popq %rdx
        popq %rsi
        popq %rdi
        popq %rax
        .cfi_adjust_cfa_offset -56
        .endm

        /* %r11 is the thread's area. At label 1 it looks in any case. */
        .macro LOOK_AND_GO_ON name, look
        movq %fs:THREAD_SEEN(%r11), %r10
        movq selfheal_generation_word(%rip), %r11
        movq (%r11), %r11
        addq selfheal_news(%rip), %r11
        cmpq %r11, %r10
        jne 1f
        jmpq *selfheal_next_\name(%rip)
1:      PUSH_ARGUMENTS
        call \look
        POP_ARGUMENTS
        jmpq *selfheal_next_\name(%rip)
        .endm

        .macro BLOCKING name, mark, look=selfheal_look_at_generation
        NEXT \name
        FUNCTION \name
        .cfi_startproc
        endbr64
        movq selfheal_probe_thread@gottpoff(%rip), %r11
        incq %fs:THREAD_PROGRESS(%r11)
        .ifnb \mark
        cmpb $0, \mark(%rip)
        movb $1, \mark(%rip)
        je 1f
        .endif
        LOOK_AND_GO_ON \name, \look
        .cfi_endproc
        .size \name, . - \name
        .endm

        .macro WAITING name
        BLOCKING \name, look=selfheal_look_while_waiting
        .endm

        .macro LOOKING name
        NEXT \name
        FUNCTION \name
        .cfi_startproc
        endbr64
        movq selfheal_probe_thread@gottpoff(%rip), %r11
        LOOK_AND_GO_ON \name, selfheal_look_at_generation
        .cfi_endproc
        .size \name, . - \name
        .endm

        .macro PROGRESS name
        NEXT \name
        FUNCTION \name
        .cfi_startproc
        endbr64
        movq selfheal_probe_thread@gottpoff(%rip), %r11
        incq %fs:THREAD_PROGRESS(%r11)
        jmpq *selfheal_next_\name(%rip)
        .cfi_endproc
        .size \name, . - \name
        .endm

        .macro BEFORE hook, name
        NEXT \name
        FUNCTION \name
        .cfi_startproc
        endbr64
        PUSH_ARGUMENTS
        call \hook
        POP_ARGUMENTS
        jmpq *selfheal_next_\name(%rip)
        .cfi_endproc
        .size \name, . - \name
        .endm

        .section selfheal_next_table, "aw", @progbits
        .p2align 3
        .globl selfheal_next_table_begin
        .hidden selfheal_next_table_begin
selfheal_next_table_begin:

        .text
        .p2align 4
selfheal_resolve_and_jump:
        .cfi_startproc
        PUSH_ARGUMENTS
        movq %r11, %rdi
        call selfheal_resolve_next
        movq %rax, %r11
        POP_ARGUMENTS
        jmpq *%r11
        .cfi_endproc

/* Calls that wait for the world. Their 2.2.5 versions that differ (pthread_cond_*) are from before
   x86-64 was released; the default versions are what dlsym gives. */
        BLOCKING accept, selfheal_serves
        BLOCKING accept4, selfheal_serves
        BLOCKING read
        BLOCKING readv
        BLOCKING eventfd_read
        BLOCKING recv
        BLOCKING recvfrom
        BLOCKING recvmsg
        BLOCKING recvmmsg, selfheal_serves
        BLOCKING nanosleep
        BLOCKING clock_nanosleep
        BLOCKING pthread_cond_wait
        BLOCKING pthread_cond_timedwait
        BLOCKING pthread_cond_clockwait
        BLOCKING sem_wait
        BLOCKING sem_timedwait
        BLOCKING wait
        BLOCKING waitpid
        BLOCKING wait3
        BLOCKING wait4
        BLOCKING waitid
        BLOCKING sigwait
        BLOCKING sigwaitinfo
        BLOCKING sigtimedwait
        BLOCKING sleep
        BLOCKING usleep
        BLOCKING __read_chk
        BLOCKING __recv_chk
        BLOCKING __recvfrom_chk

/* Calls that wait, and take nothing of what has come: as long as nobody takes it, they come back at
   once. */
        WAITING epoll_wait
        WAITING poll
        WAITING select
        WAITING __poll_chk

/* Calls that wait for the world if their buffer is empty: a place to look around, and no proof that
   anything has happened. */
        LOOKING fgets
        LOOKING fgets_unlocked
        LOOKING __fgets_chk
        LOOKING getline
        LOOKING getdelim
        LOOKING __getdelim
        LOOKING fread
        LOOKING fread_unlocked
        LOOKING __fread_chk

/* Calls that get something done outside. They are made in signal handlers, too (a pipe to oneself),
   where nobody may be asked to look around. */
        PROGRESS write
        PROGRESS writev
        PROGRESS pwrite
        PROGRESS pwrite64
        PROGRESS pwritev
        PROGRESS pread
        PROGRESS pread64
        PROGRESS preadv
        PROGRESS send
        PROGRESS sendto
        PROGRESS sendmsg
        PROGRESS sendmmsg
        PROGRESS sendfile
        PROGRESS sendfile64
        PROGRESS splice
        PROGRESS connect
        PROGRESS fsync
        PROGRESS fdatasync
        PROGRESS pause
        PROGRESS sem_clockwait
        PROGRESS pthread_join
        PROGRESS pthread_timedjoin_np
        PROGRESS pthread_barrier_wait

/* What ends this program, or jumps out of a handler. */
        BEFORE selfheal_before_exec, execve
        BEFORE selfheal_before_exec, execv
        BEFORE selfheal_before_exec, execvp
        BEFORE selfheal_before_exec, execvpe
        BEFORE selfheal_before_exec, execl
        BEFORE selfheal_before_exec, execlp
        BEFORE selfheal_before_exec, execle
        BEFORE selfheal_before_exec, fexecve
        BEFORE selfheal_before_exec, execveat
        BEFORE selfheal_before_end, exit
        BEFORE selfheal_before_short_end, _exit
        BEFORE selfheal_before_short_end, _Exit
        BEFORE selfheal_before_short_end, quick_exit
        BEFORE selfheal_before_jump, longjmp
        BEFORE selfheal_before_jump, _longjmp
        BEFORE selfheal_before_jump, siglongjmp
        BEFORE selfheal_before_jump, __longjmp_chk
        BEFORE selfheal_before_setcontext, setcontext
        BEFORE selfheal_before_swapcontext, swapcontext

/* What ends it by SIGABRT. */
        BEFORE selfheal_before_abort, abort
        BEFORE selfheal_before_abort, __stack_chk_fail
        BEFORE selfheal_before_abort, __assert_perror_fail
        BEFORE selfheal_before_assertion, __assert_fail
        BEFORE selfheal_before_assertion, __assert

/* Wrapped in C++: only the slots. */
        NEXT ppoll
        NEXT __ppoll_chk
        NEXT pselect
        NEXT epoll_pwait
        NEXT epoll_pwait2
        NEXT sigaction
        NEXT sigprocmask
        NEXT pthread_sigmask
        NEXT sigsuspend
        NEXT sigaltstack
        NEXT pthread_create
        NEXT pthread_cancel
        NEXT mprotect
        NEXT pkey_mprotect
        NEXT prctl

/* long syscall(number, ...): everything but the two ways to install a filter passes untouched. */
        NEXT syscall
        FUNCTION syscall
        .cfi_startproc
        endbr64
        cmpq $317, %rdi /* seccomp */
        je 1f
        cmpq $157, %rdi /* prctl */
        je 1f
        jmpq *selfheal_next_syscall(%rip)
1:      jmp selfheal_filter_syscall
        .cfi_endproc
        .size syscall, . - syscall

/* vfork: the child runs on the parent's stack, so the return address is kept in a register across
   the system call; and in its thread-local memory, so what says "child" is taken back by the
   parent, which goes on only when the child is gone. */
        FUNCTION vfork
        .cfi_startproc
        endbr64
        popq %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rdi
        movq selfheal_probe_thread@gottpoff(%rip), %rsi
        incq %fs:THREAD_VFORK_DEPTH(%rsi)
        movl $58, %eax
        syscall
        pushq %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_offset rip, -8
        testq %rax, %rax
        jz 2f
        decq %fs:THREAD_VFORK_DEPTH(%rsi)
        cmpq $-4095, %rax
        jae 1f
2:      ret
1:      negl %eax
        pushq %rax
        .cfi_adjust_cfa_offset 8
        call *__errno_location@GOTPCREL(%rip)
        popq %rcx
        .cfi_adjust_cfa_offset -8
        movl %ecx, (%rax)
        movq $-1, %rax
        ret
        .cfi_endproc
        .size vfork, . - vfork
        .globl __vfork
        .type __vfork, @function
        .set __vfork, vfork

        .section selfheal_next_table, "aw", @progbits
        .globl selfheal_next_table_end
        .hidden selfheal_next_table_end
selfheal_next_table_end:

        .section .note.GNU-stack,"",@progbits
