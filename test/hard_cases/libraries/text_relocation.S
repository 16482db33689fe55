# Code that ld.so has to write to: the absolute address is in the text.
        .text
        .globl relocated
        .type relocated, @function
relocated:
        movabsq $value, %rax
        movl (%rax), %eax
        ret
        .size relocated, . - relocated
        .data
        .globl value
        .hidden value
value:  .long 42
        .section .note.GNU-stack, "", @progbits
