/* SPDX-License-Identifier: Apache-2.0
 * kernels/array/array_table.c -- the array library's table of ops in a context.
 * Lives here: its making and freeing, the launch of one entry, names of codes.
 * Not here:   registration (by the file that knows the bodies). */
#include "kernels/array/array_table.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/failure.h"

static const struct {
  const char *name;
  int32_t n_operands;
} op_facts[] = {
#define RPI_ARRAY_OP(CODE, name, n, body) [RP_ARRAY_##CODE] = {name, n},
#include "kernels/array/array_ops.def"
#undef RPI_ARRAY_OP
};

enum {
#define RPI_ARRAY_OP(CODE, name, n, body) LINE_##CODE,
#include "kernels/array/array_ops.def"
#undef RPI_ARRAY_OP
  N_LINES
};

#define RPI_ARRAY_OP(CODE, name, n, body) \
  _Static_assert((int)LINE_##CODE == (int)RP_ARRAY_##CODE, "ORDER of array_ops.def: " #CODE);
#include "kernels/array/array_ops.def"
#undef RPI_ARRAY_OP
_Static_assert((int)N_LINES == (int)RP_ARRAY_N_CODES, "array_ops.def has every code");

/* Its address is the key of the table in a context. */
static const char table_key;

static void table_free(void *data) {
  rpi_array_table *t = data;
  for (int r = 0; r < RPI_ARRAY_N_RED; r++) {
    for (int k = 0; k < RPI_ARRAY_N_KINDS; k++) {
      for (int d = 0; d <= RP_MAX_DIM; d++) free(t->red[r][k][d]);
    }
  }
  free(t);
}

rp_status rpi_array_table_of(const char *what, rp_store *operand, rpi_array_table **out) {
  *out = NULL;
  if (!operand) return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: an operand is NULL", what);
  rp_context *ctx = rp_store_context(operand);
  if (ctx) return rpi_array_table_get(ctx, out);
  return rpi_failure_set(RP_ERR_HANDLE, "array.%s: an operand is no store (or was released)", what);
}

rp_status rpi_array_table_get(rp_context *ctx, rpi_array_table **out) {
  *out = NULL;
  if (!ctx) return rpi_failure_set(RP_ERR_ARGUMENT, "array: the context is NULL");
  rpi_array_table *t = rp_context_data(ctx, &table_key);
  if (!t) {
    t = calloc(1, sizeof *t);
    if (!t) return rpi_failure_memory("the array library's table of ops");
    rp_status status = rp_library_create(ctx, "array", &t->lib);
    if (status == RP_OK) status = rp_context_set_data(ctx, &table_key, t, table_free);
    if (status != RP_OK) {
      free(t);
      return status;
    }
  }
  *out = t;
  return RP_OK;
}

rpi_array_kind rpi_array_table_kind(rp_dtype dtype) {
  if (dtype == RP_BOOL) return RPI_ARRAY_BOOL;
  if (dtype >= RP_I8 && dtype <= RP_I64) return RPI_ARRAY_SIGNED;
  if (dtype >= RP_U8 && dtype <= RP_U64) return RPI_ARRAY_UNSIGNED;
  return RPI_ARRAY_FLOATING;
}

rp_status rpi_array_table_run(rp_op *op, rp_store **stores, int32_t n_stores, const void *scalar,
                              rp_store *to, rp_store **out) {
  const void *scalars[1] = {scalar};
  const int32_t n_scalars = scalar ? 1 : 0;
  stores[0] = to;
  if (to) return rp_launch(op, stores, n_stores, scalars, n_scalars);
  const rp_status status = rp_call(op, stores, n_stores, scalars, n_scalars);
  if (status == RP_OK) *out = stores[0];
  return status;
}

rp_status rp_array_find(const char *name, rp_array_code *out, int32_t *n_operands) {
  if (n_operands) *n_operands = 0;
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_find: out is NULL");
  *out = 0;
  if (!name) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_find: name is NULL");
  for (int32_t i = 0; i < RP_ARRAY_N_CODES; i++) {
    if (strcmp(name, op_facts[i].name) != 0) continue;
    *out = i;
    if (n_operands) *n_operands = op_facts[i].n_operands;
    return RP_OK;
  }
  return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_find: no function is called '%s'", name);
}

const char *rp_array_name(rp_array_code code) {
  return code >= 0 && code < RP_ARRAY_N_CODES ? op_facts[code].name : "?";
}
