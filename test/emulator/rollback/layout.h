/* What the random programs and their host agree on; read by the assembler too. */
#pragma once

#define DATA_MASK 0xffff
#define DATA_SIZE 0x12000 /* the mask, and room behind it for what one snippet writes */

#define FRAME_SIZE 320     /* of the caller of a program, from its stack pointer up: a buffer of */
#define FRAME_BUFFER 256   /* this size, and what it has pushed */
#define STACK_BELOW 0x6000 /* more than a program uses */

#define BASE 0
#define AVX2 1
#define AVX512 2
