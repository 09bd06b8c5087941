/* SPDX-License-Identifier: Apache-2.0
 * kernels/array/array_table.h -- what the array library keeps in a context: its ops, found by number.
 * Lives here: the table and the one way to launch from it. Not here: which op a call wants.
 * Ops are registered at their first use; from then on a launch costs one look at the table. */
#ifndef RPI_ARRAY_TABLE_H
#define RPI_ARRAY_TABLE_H

#include "core/include/reprise_array.h"

/* Which operands of an element-wise op are numbers of the host. */
typedef enum rpi_array_form {
  RPI_ARRAY_STORES,  /* x, or a and b */
  RPI_ARRAY_FLOAT_B, /* a, b:float */
  RPI_ARRAY_INT_B,   /* a, b:int */
  RPI_ARRAY_FLOAT_A, /* a:float, b */
  RPI_ARRAY_INT_A,   /* a:int, b */
  RPI_ARRAY_N_FORMS
} rpi_array_form;

typedef enum rpi_array_red {
#define RPI_ARRAY_RED(NAME, name, word, f, i, u, b) RPI_ARRAY_RED_##NAME,
#include "kernels/array/array_reductions.def"
#undef RPI_ARRAY_RED
  RPI_ARRAY_N_RED
} rpi_array_red;

/* Kinds of dtypes that have bodies of their own in array_reductions.def. */
typedef enum rpi_array_kind {
  RPI_ARRAY_FLOATING,
  RPI_ARRAY_SIGNED,
  RPI_ARRAY_UNSIGNED,
  RPI_ARRAY_BOOL,
  RPI_ARRAY_N_KINDS
} rpi_array_kind;

enum { RPI_ARRAY_N_DTYPES = RP_F64 + 1 };

typedef struct rpi_array_table {
  rp_library *lib;
  rp_op *op[RP_ARRAY_N_CODES][RPI_ARRAY_N_FORMS];
  rp_op *where, *modf, *frexp;
  rp_op *astype[RPI_ARRAY_N_DTYPES];
  rp_op *arange[RPI_ARRAY_N_DTYPES];
  rp_op *linspace[RPI_ARRAY_N_DTYPES];
  rp_op *dot[RP_MAX_DIM + 1];
  /* By reduction, kind and rank: 2^rank ops, one per set of reduced axes; NULL before the first. */
  rp_op **red[RPI_ARRAY_N_RED][RPI_ARRAY_N_KINDS][RP_MAX_DIM + 1];
} rpi_array_table;

/* The table of ctx, made at the first call. */
rp_status rpi_array_table_get(rp_context *ctx, rpi_array_table **out);
/* The same for the context of a store that the function `what` was given. */
rp_status rpi_array_table_of(const char *what, rp_store *operand, rpi_array_table **out);

rpi_array_kind rpi_array_table_kind(rp_dtype dtype);

/* Launches `op` on stores[1..n-1] with at most one scalar (NULL: none). `to`, if not NULL, is stores[0];
 * otherwise the result is made and put into *out. */
rp_status rpi_array_table_run(rp_op *op, rp_store **stores, int32_t n_stores, const void *scalar,
                              rp_store *to, rp_store **out);

#endif
