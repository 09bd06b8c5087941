/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/direct.h -- expressions as trees, and their value by the rules of SEMANTICS.md.
 *
 * Lives here: the table of operators (text and meaning), a tree evaluator for all dtypes, and
 *             reductions in the specified order.
 * Not here:   anything of the library: this is what it is compared with. */
#ifndef DIRECT_H
#define DIRECT_H

#include "tests/equal/program.h"

/* Which expressions an operator may stand in; TEST and SELECT say that kids have dtypes of their own:
 * a TEST compares kids of another dtype, the first kid of a SELECT is a bool. */
enum {
  DIRECT_FLOAT = 1,
  DIRECT_INT = 2,
  DIRECT_MATH = 4,
  DIRECT_LOGIC = 8,
  DIRECT_TEST = 16,
  DIRECT_SELECT = 32
};

typedef struct direct_op {
  const char *text; /* with %s for each kid, "" for leaves and casts */
  int32_t n_kid;
  int32_t use;
  int32_t code; /* 0: not evaluated here */
} direct_op;

/* The first rows of the table; FIRST is '+', XOR combines bools. */
enum { DIRECT_OPERAND, DIRECT_LITERAL, DIRECT_CAST, DIRECT_XOR, DIRECT_FIRST };
extern const direct_op direct_ops[];
extern const int32_t direct_n_ops;

/* A dense array in C order. */
typedef struct direct_array {
  rp_dtype dtype;
  int32_t ndim;
  int64_t shape[RP_MAX_DIM], size;
  void *data;
} direct_array;

/* Computes what the launch leaves in store 0, whose old values are in arg[0], into `out`
 * (arg[0].size elements). False if this launch is not covered. */
bool direct_launch(const program_step *s, const direct_array *arg, void *out);
/* Bitwise, NaNs equal. Index of the first difference; -1. */
int64_t direct_differ(rp_dtype dtype, const void *a, const void *b, int64_t n);

#endif
