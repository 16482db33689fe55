# Pieces of code that random programs are put together from (generator.cpp): each is copied, so each
# is position independent and falls out at its end.
#
#   r15  data: `place` makes rdx an offset into it, the mask at -16(%r15) says into how much of it;
#        the bomb's counter is at -8(%r15)
#   r14  random state            r13  a buffer in the caller's frame, 256 bytes
#   rbp  the function's own frame, 512 bytes of locals below it
#   rbx  loop counter            others are free
#include "test/emulator/rollback/layout.h"

    .section .rodata
.macro random
    imul $0x6c078965, %r14, %r14
    add $0x3c6ef35f, %r14
    mov %r14, %rdx
    shr $33, %rdx
.endm
.macro place
    random
    and -16(%r15), %rdx
.endm
.macro word_place       # a multiple of 16: for atomic operations and aligned vectors
    place
    and $-16, %rdx
.endm

# snippet FEATURE ... end_snippet
.macro snippet needs
    .pushsection .data.rel.ro.snippets, "aw"
    .quad 771f, 772f, \needs
    .popsection
771:
.endm
.macro end_snippet
772:
.endm

    .pushsection .data.rel.ro.snippets, "aw"
    .p2align 3
rollback_snippets:
    .popsection

# Plain stores of every size
snippet BASE
    place
    movb %r14b, (%r15,%rdx)
end_snippet
snippet BASE
    place
    movw %r14w, (%r15,%rdx)
end_snippet
snippet BASE
    place
    movl %r14d, (%r15,%rdx)
end_snippet
snippet BASE
    place
    movq %r14, (%r15,%rdx)
end_snippet
snippet BASE
    place
    movb $0x5a, (%r15,%rdx)
    movw $0x1234, 1(%r15,%rdx)
    movl $0x12345678, 3(%r15,%rdx)
    movq $-77, 7(%r15,%rdx)
end_snippet
snippet BASE
    place
    movnti %r14, (%r15,%rdx)
    movbe %r14d, 12(%r15,%rdx)
    bswap %r14
end_snippet
snippet BASE
    place
    and $-8, %rdx
    mov %r14, (%r15,%rdx)
    mov %r14d, 4(%r15,%rdx)
    mov %r14w, 6(%r15,%rdx)
    mov %r14b, 7(%r15,%rdx)
    not %r14
    mov %r14, (%r15,%rdx)
end_snippet

# Plain read-modify-writes
snippet BASE
    place
    add %r14, (%r15,%rdx)
    adcl $9, 4(%r15,%rdx)
    subw $5, 2(%r15,%rdx)
    sbb %r14b, 1(%r15,%rdx)
end_snippet
snippet BASE
    place
    xorl $0x55aa55aa, (%r15,%rdx)
    orb %r14b, 3(%r15,%rdx)
    andw %r14w, 5(%r15,%rdx)
    notq 8(%r15,%rdx)
    negl 1(%r15,%rdx)
end_snippet
snippet BASE
    place
    incq (%r15,%rdx)
    decb 8(%r15,%rdx)
    sete 9(%r15,%rdx)
    setg 10(%r15,%rdx)
end_snippet
snippet BASE
    place
    shlq $3, (%r15,%rdx)
    rorl $7, 2(%r15,%rdx)
    sarb $1, 4(%r15,%rdx)
    rclw $2, 6(%r15,%rdx)
    shldq $5, %r14, 8(%r15,%rdx)
end_snippet
snippet BASE
    place
    btsl $13, (%r15,%rdx)
    btrq $40, (%r15,%rdx)
    btcw $3, 9(%r15,%rdx)
    mov %r14, %rax
    and $0x3ff, %rax
    btsq %rax, (%r15,%rdx)
    neg %rax
    add $0x3ff, %rax
    btc %rax, 1(%r15,%rdx)
end_snippet
snippet BASE
    place
    mov (%r15,%rdx), %rax
    cmpxchg %r14, (%r15,%rdx)
    cmpxchg %r14d, 3(%r15,%rdx)
    xadd %r14w, 9(%r15,%rdx)
end_snippet

# Loops: ascending, descending, over two arrays, again and again over the same
snippet BASE
    place
    lea (%r15,%rdx), %rdi
    mov $40, %ecx
1:  movb %cl, (%rdi)
    inc %rdi
    dec %ecx
    jnz 1b
end_snippet
snippet BASE
    place
    lea (%r15,%rdx), %rdi
    mov $33, %ecx
1:  mov %r14, (%rdi)
    add %rcx, %r14
    add $8, %rdi
    dec %ecx
    jnz 1b
end_snippet
snippet BASE
    place
    mov $25, %ecx
1:  movl %ecx, (%r15,%rdx)
    lea -4(%rdx), %edx
    and $DATA_MASK, %edx
    dec %ecx
    jnz 1b
end_snippet
snippet BASE
    place
    lea (%r15,%rdx), %rdi
    mov $20, %ecx
1:  movw %cx, (%rdi,%rcx,2)
    addq %rcx, 64(%rdi,%rcx,8)
    movb %r14b, 300(%rdi,%rcx)
    dec %ecx
    jnz 1b
end_snippet
snippet BASE
    place
    lea (%r15,%rdx), %rdi
    mov $6, %eax
2:  mov $12, %ecx
1:  add %rax, -8(%rdi,%rcx,8)
    incl 200(%rdi)
    dec %ecx
    jnz 1b
    dec %eax
    jnz 2b
end_snippet

# Own frame: locals, red zone, alloca, what the stack instructions write
snippet BASE
    random
    and $0x1f8, %edx
    neg %rdx
    mov %r14, -16(%rbp,%rdx)  # below the saved rbx
    mov %r14d, -128(%rsp)
    mov %r14, -8(%rsp)
end_snippet
snippet BASE
    random
    and $0x3f0, %edx
    add $16, %edx
    mov %rsp, %r12
    sub %rdx, %rsp
    mov %rdx, %rcx
    mov %rsp, %rdi
    mov %r14, %rax
    rep stosb
    mov %rax, (%rsp)
    mov %r12, %rsp
end_snippet
snippet BASE
    mov %rsp, %r12
    lea -72(%rsp), %rax
    mov %rax, %rsp
    mov %r14, (%rsp)
    mov %r14, 64(%rsp)
    mov %r12, %rsp
end_snippet
snippet BASE
    place
    push %r14
    pushw $7
    push (%r15,%rdx)
    pushfq
    popq 16(%r15,%rdx)
    pop 8(%r15,%rdx)
    popw 40(%r15,%rdx)
    pop %r14
end_snippet
snippet BASE
    push %r14
    enter $64, $0
    mov %r14, -64(%rbp)
    mov %r14, (%rsp)
    leave
    pop %r14
end_snippet

# The caller's frame: what lies above the return address is not ours
snippet BASE
    random
    and $0xf0, %edx
    mov %r14, (%r13,%rdx)
    addl %r14d, 8(%r13,%rdx)
end_snippet
snippet BASE
    random
    and $0x7f, %edx
    lea (%r13,%rdx), %rdi
    mov $100, %ecx
    mov %r14, %rax
    rep stosb
end_snippet
# ... also where a store begins below the entry's stack pointer and ends above it
snippet BASE
    mov (%r13,%rbx), %rax
    lock incl 4(%r13)
    xchg %rax, 16(%r13)
end_snippet

# Another stack for a moment
snippet BASE
    place
    mov %rsp, %r12
    lea 2048(%r15,%rdx), %rsp
    push %r14
    push %rdx
    pushw $3
    mov %r14, -64(%rsp)
    mov %r12, %rsp
end_snippet
snippet BASE
    place
    lea 2048(%r15,%rdx), %r12
    xchg %rsp, %r12
    push %r12
    mov %r14, 24(%rsp)
    add $8, %rsp
    xchg %rsp, %r12
end_snippet

# String instructions, both ways
snippet BASE
    place
    lea 1024(%r15,%rdx), %rdi
    mov %r14, %rax
    mov %r14d, %ecx
    and $0x1ff, %ecx
    rep stosb
end_snippet
snippet BASE
    place
    lea 4096(%r15,%rdx), %rdi
    mov %r14, %rax
    mov %r14d, %ecx
    and $0x7f, %ecx
    std
    rep stosq
    cld
end_snippet
snippet BASE
    place
    lea 1024(%r15,%rdx), %rdi
    lea 1021(%r15,%rdx), %rsi
    mov %r14d, %ecx
    and $0xff, %ecx
    rep movsb
    lea 2048(%r15,%rdx), %rsi
    mov $17, %ecx
    rep movsl
    movsw
    stosq
end_snippet
snippet BASE
    place
    lea 2048(%r15,%rdx), %rdi
    lea 2064(%r15,%rdx), %rsi
    mov $90, %ecx
    std
    rep movsq
    stosb
    movsl
    cld
end_snippet

# Atomic read-modify-writes
snippet BASE
    word_place
    lock addq $7, (%r15,%rdx)
    lock subl %r14d, 8(%r15,%rdx)
    lock incw 12(%r15,%rdx)
    lock decb 14(%r15,%rdx)
    stc
    lock adcl $3, 4(%r15,%rdx)
    lock sbbb $3, 15(%r15,%rdx)
end_snippet
snippet BASE
    word_place
    mov %r14, %rax
    lock xaddq %rax, (%r15,%rdx)
    lock xaddl %eax, 8(%r15,%rdx)
    lock xaddw %ax, 12(%r15,%rdx)
    lock xaddb %al, 14(%r15,%rdx)
end_snippet
snippet BASE
    word_place
    lock andq %r14, (%r15,%rdx)
    lock orl $0x1248, 8(%r15,%rdx)
    lock xorw %r14w, 12(%r15,%rdx)
    lock notb 14(%r15,%rdx)
    lock negl (%r15,%rdx)
    lock notq (%r15,%rdx)
    lock andb $0xf0, 15(%r15,%rdx)
end_snippet
snippet BASE
    word_place
    lock btsq $37, (%r15,%rdx)
    lock btrl $4, 8(%r15,%rdx)
    lock btcw $9, 12(%r15,%rdx)
    mov %r14, %rax
    and $63, %eax
    lock btsl %eax, (%r15,%rdx)
    lock btcq %rax, (%r15,%rdx)
    lock btrw %ax, (%r15,%rdx)
end_snippet
snippet BASE
    word_place
    mov (%r15,%rdx), %rax
    mov %r14, %rcx
    lock cmpxchgq %rcx, (%r15,%rdx)
    mov 8(%r15,%rdx), %eax
    lock cmpxchgl %ecx, 8(%r15,%rdx)
    lock cmpxchgw %cx, 12(%r15,%rdx)
    mov 14(%r15,%rdx), %al
    lock cmpxchgb %cl, 14(%r15,%rdx)
end_snippet
snippet BASE
    word_place
    mov %rbx, %r12
    lea (%r15,%rdx), %rdi
    mov (%rdi), %rax
    mov 8(%rdi), %rdx
    mov %r14, %rbx
    lea 1(%r14), %rcx
    lock cmpxchg16b (%rdi)
    mov 8(%rdi), %eax
    mov 12(%rdi), %edx
    lock cmpxchg8b 8(%rdi)
    lock cmpxchg8b (%rdi)
    mov %r12, %rbx
end_snippet
snippet BASE
    word_place
    mov %r14, %rax
    xchg %rax, (%r15,%rdx)
    xchg %eax, 8(%r15,%rdx)
    xchg %ax, 12(%r15,%rdx)
    xchg %al, 14(%r15,%rdx)
end_snippet
# ... mixed with plain stores to the same words: a lock taken, a value stored, the lock released
snippet BASE
    word_place
    movl $0, (%r15,%rdx)
    xor %eax, %eax
    mov $1, %ecx
    lock cmpxchgl %ecx, (%r15,%rdx)
    incq 8(%r15,%rdx)
    movl $0, (%r15,%rdx)
    lock incl (%r15,%rdx)
    movl $5, (%r15,%rdx)
    movw $9, 2(%r15,%rdx)
    lock addw $3, (%r15,%rdx)
    movq $77, (%r15,%rdx)
    lock btsl $20, (%r15,%rdx)
    movb %r14b, 1(%r15,%rdx)
end_snippet
snippet BASE
    word_place
    movb $1, (%r15,%rdx)
    mov $0, %eax
    xchg %al, (%r15,%rdx)
    movb $1, (%r15,%rdx)
    xchg %al, (%r15,%rdx)
    movb $2, (%r15,%rdx)
end_snippet

# Vector, x87 and state stores
snippet BASE
    place
    movups %xmm1, (%r15,%rdx)
    movq %xmm2, 13(%r15,%rdx)
    movd %xmm3, 30(%r15,%rdx)
    movhps %xmm4, 40(%r15,%rdx)
    movlpd %xmm5, 50(%r15,%rdx)
    pextrb $3, %xmm1, 60(%r15,%rdx)
    pextrw $2, %xmm1, 61(%r15,%rdx)
    extractps $1, %xmm1, 70(%r15,%rdx)
    paddq %xmm6, %xmm1
end_snippet
snippet BASE
    word_place
    movntdq %xmm7, (%r15,%rdx)
    movaps %xmm8, 16(%r15,%rdx)
    movss %xmm9, 35(%r15,%rdx)
    movsd %xmm10, 41(%r15,%rdx)
    paddd %xmm8, %xmm7
end_snippet
snippet BASE
    place
    lea (%r15,%rdx), %rdi
    maskmovdqu %xmm11, %xmm12
    psrlw $1, %xmm11
end_snippet
snippet BASE
    place
    fldpi
    fstl (%r15,%rdx)
    fsts 9(%r15,%rdx)
    fld1
    fstpt 16(%r15,%rdx)
    fistpll 30(%r15,%rdx)
    fnstcw 40(%r15,%rdx)
    fnstsw 42(%r15,%rdx)
    stmxcsr 44(%r15,%rdx)
end_snippet
snippet BASE
    place
    fninit                      # the address of the last x87 instruction is a thunk's in the engine
    fnstenv 5(%r15,%rdx)
    fldenv 5(%r15,%rdx)
    movq %r14, %mm3
    movq %mm3, 50(%r15,%rdx)
    emms
end_snippet
snippet BASE
    word_place
    mov %rdx, %rdi
    fninit
    fxsave64 (%r15,%rdi)
end_snippet
snippet AVX2
    place
    and $-64, %rdx
    lea 512(%r15,%rdx), %rdi
    movl $7, %eax
    xor %edx, %edx
    fninit
    xsave64 (%rdi)
    movl $3, %eax
    xsavec64 1024(%rdi)
end_snippet
snippet AVX2
    place
    vmovdqu %ymm1, (%r15,%rdx)
    vpmaskmovd %ymm2, %ymm3, 40(%r15,%rdx)
    vmaskmovpd %ymm4, %ymm5, 80(%r15,%rdx)
    vextracti128 $1, %ymm1, 120(%r15,%rdx)
    vpaddb %ymm1, %ymm3, %ymm3
end_snippet
snippet AVX512
    place
    vmovdqu64 %zmm17, (%r15,%rdx)
    kmovq %r14, %k2
    vmovdqu8 %zmm18, 100(%r15,%rdx){%k2}
    vmovdqu32 %zmm19, 200(%r15,%rdx){%k2}
    vpcompressd %zmm20, 300(%r15,%rdx){%k2}
    vpmovqb %zmm21, 400(%r15,%rdx){%k2}
    kmovd %k2, 450(%r15,%rdx)
    vpaddd %zmm17, %zmm18, %zmm17
end_snippet
snippet AVX512
    place
    lea (%r15,%rdx), %rdi
    kmovq %r14, %k3
    vpbroadcastd %r14d, %zmm22
    vpsrlvd %zmm23, %zmm22, %zmm22
    vpslld $20, %zmm22, %zmm22
    vpsrld $20, %zmm22, %zmm22
    vpscatterdd %zmm24, (%rdi,%zmm22,1){%k3}
end_snippet

    .pushsection .data.rel.ro.snippets, "aw"
    .quad 0, 0, 0
rollback_faults:
    .popsection

# Ways to fail. At DATA_SIZE begins a page that may not be touched, a page later one that is only
# readable.
snippet BASE
    ud2
end_snippet
snippet BASE
    mov %r14, DATA_SIZE(%r15)
end_snippet
snippet BASE
    mov %r14, DATA_SIZE-3(%r15)
end_snippet
snippet BASE
    movups %xmm1, DATA_SIZE-15(%r15)
end_snippet
snippet BASE
    lea DATA_SIZE-100(%r15), %rdi
    mov $1000, %ecx
    mov %r14, %rax
    rep stosb
end_snippet
snippet BASE
    lea DATA_SIZE-96(%r15), %rdi
    lea (%r15), %rsi
    mov $700, %ecx
    rep movsq
end_snippet
snippet BASE
    mov %r14, DATA_SIZE+4096(%r15)
end_snippet
snippet BASE
    movups %xmm2, DATA_SIZE+4100(%r15)
end_snippet
snippet BASE
    lock addl $3, DATA_SIZE+4096(%r15)
end_snippet
snippet BASE
    xchg %r14, DATA_SIZE+4104(%r15)
end_snippet
snippet BASE
    addq %r14, DATA_SIZE+8184(%r15)
end_snippet
snippet BASE
    mov 16, %rax
end_snippet
snippet BASE
    movl $5, 64
end_snippet
snippet BASE
    lock incl 64
end_snippet
snippet BASE
    xor %edx, %edx
    xor %ecx, %ecx
    div %rcx
end_snippet
snippet BASE
    mov $-1, %rcx
    xor %eax, %eax
    bts $63, %rax
    cqo
    idiv %rcx
end_snippet
snippet BASE
    movabs $0x8000000000000000, %rax
    mov %r14, (%rax)
end_snippet
snippet BASE
    mov $10, %ecx
1:  mov DATA_SIZE-2(%r15), %rax
    loop 1b
end_snippet
snippet AVX512
    kxnorq %k1, %k1, %k1
    vmovdqu8 %zmm17, DATA_SIZE-20(%r15){%k1}
end_snippet

    .pushsection .data.rel.ro.snippets, "aw"
    .quad 0, 0, 0
    .popsection

    .text
    .globl rollback_first_snippet
    .type rollback_first_snippet, @function
rollback_first_snippet:
    lea rollback_snippets(%rip), %rax
    ret
    .globl rollback_first_fault
    .type rollback_first_fault, @function
rollback_first_fault:
    lea rollback_faults(%rip), %rax
    ret
    .section .note.GNU-stack, "", @progbits
