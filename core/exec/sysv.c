/* SPDX-License-Identifier: Apache-2.0
 * core/exec/sysv.c -- see sysv.h. The ABI (System V Application Binary Interface, AMD64 supplement, 3.2.3) hands over the
 * first six integers in registers, the first eight floating-point numbers in others, and all further arguments in
 * order on the stack, eight bytes each.
 *
 * How:        which register an argument gets depends on the arguments of its own class alone. So one type of function
 *             serves for all signatures: six integers, eight numbers, and a structure by value, which lies on the
 *             stack where the further arguments would. What the function does not take it does not see.
 *             C leaves such a call undefined; the ABI defines it.
 * Invariants: a value narrower than its register is extended as its type asks, which callers owe functions. */
#include "core/exec/sysv.h"

#include <string.h>

#include "core/include/reprise.h"

#ifdef __clang__
#define UNCHECKED __attribute__((no_sanitize("function")))
#else
#define UNCHECKED
#endif

enum { INTEGERS = 6, NUMBERS = 8, FEW = 8, SOME = 32 };

typedef struct frame {
  uint64_t integer[INTEGERS];
  double number[NUMBERS];
  uint64_t stack[RPI_SYSV_ARGS];
  int32_t n_integer, n_number, n_stack;
} frame;

static uint64_t widened(uint8_t dtype, uint64_t v) {
  switch (dtype) {
    case RP_I8: return (uint64_t)(int64_t)(int8_t)v;
    case RP_I16: return (uint64_t)(int64_t)(int16_t)v;
    case RP_I32: return (uint64_t)(int64_t)(int32_t)v;
    case RP_BOOL:
    case RP_U8: return (uint8_t)v;
    case RP_U16: return (uint16_t)v;
    case RP_U32:
    case RP_F32: return (uint32_t)v;
    default: return v;
  }
}

static void add(frame *f, uint8_t dtype, uint64_t v) {
  const bool number = dtype == RP_F32 || dtype == RP_F64;
  const uint64_t word = widened(dtype, v);
  if (number && f->n_number < NUMBERS)
    memcpy(&f->number[f->n_number++], &word, sizeof word);
  else if (!number && f->n_integer < INTEGERS)
    f->integer[f->n_integer++] = word;
  else
    f->stack[f->n_stack++] = word;
}

/* More than the 16 bytes that could travel in registers. */
typedef struct few {
  uint64_t word[FEW];
} few;
typedef struct some {
  uint64_t word[SOME];
} some;
typedef struct many {
  uint64_t word[RPI_SYSV_ARGS];
} many;

#define INTEGER_TYPES uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define NUMBER_TYPES double, double, double, double, double, double, double, double
#define CALL(function, f, type) \
  ((int (*)(INTEGER_TYPES, NUMBER_TYPES, type))(function))( \
      (f)->integer[0], (f)->integer[1], (f)->integer[2], (f)->integer[3], (f)->integer[4], \
      (f)->integer[5], (f)->number[0], (f)->number[1], (f)->number[2], (f)->number[3], \
      (f)->number[4], (f)->number[5], (f)->number[6], (f)->number[7], *(const type *)(f)->stack)

UNCHECKED int rpi_sysv_call(void (*function)(void), int32_t n, const uint8_t *dtype,
                            const uint64_t *value) {
  frame f;
  memset(&f, 0, offsetof(frame, stack));
  f.n_integer = f.n_number = f.n_stack = 0;
  for (int32_t i = 0; i < n; i++) add(&f, dtype[i], value[i]);
  const int32_t room = f.n_stack <= FEW ? FEW : f.n_stack <= SOME ? SOME : RPI_SYSV_ARGS;
  memset(f.stack + f.n_stack, 0, sizeof *f.stack * (size_t)(room - f.n_stack));
  if (room == FEW) return CALL(function, &f, few);
  if (room == SOME) return CALL(function, &f, some);
  return CALL(function, &f, many);
}
