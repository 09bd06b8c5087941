/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_step.h -- a kernel's IR as a GPU interprets it: a program in the GPU's memory.
 *
 * Lives here: the structs of which a program is made, which the encoder fills (cuda_program.c) and the CUDA text reads
 *             (cuda_interp.h); the build embeds it. Not here: what they mean for a thread (cuda_interp.h).
 * How:        a program is one block of memory: a head, then steps, operands, reductions and constants, each at its offset.
 *             Where a value is, a *place*, is 16 bits: two say which memory, the others the number there. Words are those of
 *             the kernel's parameters, without the prologue's. Values are bits, zero-extended to 64. */
#ifndef RPI_CUDA_STEP_H
#define RPI_CUDA_STEP_H

enum {
  RPK_SLOT = 0,        /* of the thread */
  RPK_UNIFORM = 1,     /* of a launch: prologue and epilogue values, in device memory */
  RPK_WORD = 2,        /* a parameter */
  RPK_CONSTANT = 3,    /* of the program */
  RPK_PLACES = 1 << 14 /* of each kind */
};
/* Of a thread; of the parameters, 4096 bytes; what tells the launches apart: threads of a block. */
enum { RPK_SLOTS = 64, RPK_LOOPS = 2, RPK_TREE = 40, RPK_SOURCES = 8, RPK_WORDS = 508 };
enum { RPK_THREADS_PRO = 32, RPK_THREADS_UNITS = 256, RPK_THREADS_FIN = 128 };

/* What a step is; the IR's operations but for those that need no step. */
enum rpk_step_kind {
  RPK_COMPUTE, /* code: op * 16 + dtype of its sources, as rpk_compute has it */
  RPK_CAST,    /* code: from * 16 + to */
  RPK_SELECT,
  RPK_INDEX, /* arg: axis */
  RPK_LOAD,  /* arg: operand; code: dtype, in all that touch memory */
  RPK_GATHER,
  RPK_STORE,
  RPK_REDUCE, /* arg: reduction */
  RPK_LOOP,   /* arg: the step of its end; code: rule; imm: value of no element */
  RPK_END, /* arg: the step of its LOOP; code: op * 16 + dtype, as rpk_combine has it; imm: identity */
  RPK_END_ARG /* the same for argmin and argmax, as rpk_beats has it */
};

typedef struct rpk_step {
  uint8_t kind, n;
  uint16_t code;
  uint32_t arg;
  uint64_t imm;
  uint16_t to;
  uint16_t from[RPK_SOURCES];
  uint16_t unused[3];
} rpk_step;

typedef struct rpk_operand {
  int32_t ptr, stride; /* words; a table's extents are behind its strides */
  uint8_t rank, checked, unused[6];
} rpk_operand;

typedef struct rpk_red {
  int32_t ptr, stride, partial; /* words */
  uint16_t code;                /* op * 16 + dtype, as rpk_combine has it */
  uint8_t mask, join;
  uint64_t identity, empty;
} rpk_red;

typedef struct rpk_program {
  uint32_t bytes;                            /* of all of it */
  uint32_t steps, operands, reds, constants; /* offsets in bytes */
  int32_t pro, body, end;                    /* numbers of steps: the prologue's first is 0 */
  int32_t rank, n_red;
  int32_t prefix;                       /* ROW mode: reduced axes; else 0 */
  int32_t extent, origin, flag, values; /* words */
} rpk_program;
#endif
