# Runs a snippet of code with a given full state and captures the state after it. The same code runs
# natively and as a region; it is itself interpreted then.
#
#   guest_state:  gpr[16] | rflags | code | (the snippet ends in a jump to guest_done)
#   guest_xsave_area: an XSAVE area, loaded before and stored after
    .data
    .p2align 6
    .globl guest_xsave_area
    .type guest_xsave_area, @object
    .size guest_xsave_area, 4096
guest_xsave_area:
    .zero 4096
    .globl guest_state
    .type guest_state, @object
    .size guest_state, 144
guest_state:
    .zero 144
    .globl guest_saved_sp
    .type guest_saved_sp, @object
    .size guest_saved_sp, 8
guest_saved_sp:
    .quad 0
default_mxcsr:
    .long 0x1f80

    .text
    .p2align 4
    .globl guest_run_snippet
    .type guest_run_snippet, @function
guest_run_snippet:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov guest_saved_sp@GOTPCREL(%rip), %rax
    mov %rsp, (%rax)
    mov $0xe7, %eax
    xor %edx, %edx
    mov guest_xsave_area@GOTPCREL(%rip), %rcx
    xrstor64 (%rcx)
    sub $8192, %rsp
    mov guest_state@GOTPCREL(%rip), %rbx
    pushq 128(%rbx)
    popfq
    mov 136(%rbx), %rax
    mov %rax, -1024(%rsp)
    mov 0(%rbx), %rax
    mov 8(%rbx), %rcx
    mov 16(%rbx), %rdx
    mov 40(%rbx), %rbp
    mov 48(%rbx), %rsi
    mov 56(%rbx), %rdi
    mov 64(%rbx), %r8
    mov 72(%rbx), %r9
    mov 80(%rbx), %r10
    mov 88(%rbx), %r11
    mov 96(%rbx), %r12
    mov 104(%rbx), %r13
    mov 112(%rbx), %r14
    mov 120(%rbx), %r15
    mov 24(%rbx), %rbx
    jmp *-1024(%rsp)
    .size guest_run_snippet, . - guest_run_snippet

    .globl guest_done
    .type guest_done, @function
guest_done:
    mov %rsp, scratch_sp(%rip)
    mov guest_saved_sp@GOTPCREL(%rip), %rsp
    mov (%rsp), %rsp
    pushfq
    cld
    push %rbx
    mov guest_state@GOTPCREL(%rip), %rbx
    mov %rax, 0(%rbx)
    mov %rcx, 8(%rbx)
    mov %rdx, 16(%rbx)
    mov %rbp, 40(%rbx)
    mov %rsi, 48(%rbx)
    mov %rdi, 56(%rbx)
    mov %r8, 64(%rbx)
    mov %r9, 72(%rbx)
    mov %r10, 80(%rbx)
    mov %r11, 88(%rbx)
    mov %r12, 96(%rbx)
    mov %r13, 104(%rbx)
    mov %r14, 112(%rbx)
    mov %r15, 120(%rbx)
    mov scratch_sp(%rip), %rax
    mov %rax, 32(%rbx)
    pop %rax
    mov %rax, 24(%rbx)
    pop %rax
    mov %rax, 128(%rbx)
    mov $0xe7, %eax
    xor %edx, %edx
    mov guest_xsave_area@GOTPCREL(%rip), %rcx
    xsave64 (%rcx)
    fninit
    ldmxcsr default_mxcsr(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size guest_done, . - guest_done

    .data
scratch_sp:
    .quad 0
    .section .note.GNU-stack, "", @progbits
