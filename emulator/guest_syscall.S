# long selfheal_guest_syscall(const u64 registers[7], const bool* signal_waits)
#
# registers: rax rdi rsi rdx r10 r8 r9. The system call of a guest, which a signal must be able to
# come before, however long it waits:
#
#     begin:  does a signal wait?  ──yes──► interrupted: return ERESTARTSYS, nothing has happened
#     insn:   syscall
#     end:    return its result
#
# A signal handler that finds rip in [begin, end) sends it to `interrupted` (interrupt.cpp): either
# the call has not begun, or the kernel has set rip back to `insn` to make it anew after the handler
# (SA_RESTART). At `end` the call is over, with EINTR perhaps, and the handler may run after it. The
# same three labels keep musl's cancellation points exact (src/thread/x86_64/syscall_cp.s).
    .text
    .p2align 4
    .globl selfheal_guest_syscall
    .hidden selfheal_guest_syscall
    .type selfheal_guest_syscall, @function
selfheal_guest_syscall:
    .cfi_startproc
    mov %rdi, %r11
    mov %rsi, %rcx
    mov 0(%r11), %rax
    mov 8(%r11), %rdi
    mov 16(%r11), %rsi
    mov 24(%r11), %rdx
    mov 32(%r11), %r10
    mov 40(%r11), %r8
    mov 48(%r11), %r9
    .globl selfheal_guest_syscall_begin
    .hidden selfheal_guest_syscall_begin
selfheal_guest_syscall_begin:
    cmpb $0, (%rcx)
    jne selfheal_guest_syscall_interrupted
    syscall
    .globl selfheal_guest_syscall_end
    .hidden selfheal_guest_syscall_end
selfheal_guest_syscall_end:
    ret
    .globl selfheal_guest_syscall_interrupted
    .hidden selfheal_guest_syscall_interrupted
selfheal_guest_syscall_interrupted:
    mov $-512, %rax
    ret
    .cfi_endproc
    .size selfheal_guest_syscall, . - selfheal_guest_syscall

    .section .note.GNU-stack, "", @progbits
