# Code in a segment that is writable and executable all the time: each call counts in its own text.
        .section .writable_text, "awx", @progbits
        .globl counts_in_text
        .type counts_in_text, @function
counts_in_text:
        incb 1f+1(%rip)
1:      movl $0, %eax
        ret
        .size counts_in_text, . - counts_in_text
        .section .note.GNU-stack, "", @progbits
