/* SPDX-License-Identifier: Apache-2.0
 * kernels/array/array_reduce.c -- reductions over any set of axes, dot, norm, argmin and argmax.
 * Lives here: the bodies, written for a rank and a set of reduced axes at their first use, such as
 *             "out[i0,i2] = sum(i1) x[i0,i1,i2]", and the checks of axes.
 * Not here:   the order in which elements combine (SEMANTICS 3: the runtime's). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/array/array_table.h"
#include "kernels/failure.h"

static const struct {
  const char *name, *word;
  const char *element[RPI_ARRAY_N_KINDS];
} red_rows[RPI_ARRAY_N_RED] = {
#define RPI_ARRAY_RED(NAME, name, word, f, i, u, b) \
  [RPI_ARRAY_RED_##NAME] = {name, word, {f, i, u, b}},
#include "kernels/array/array_reductions.def"
#undef RPI_ARRAY_RED
};

_Static_assert((int)RPI_ARRAY_RED_SUM == RP_ARRAY_SUM && (int)RPI_ARRAY_RED_MIN == RP_ARRAY_MIN &&
                   (int)RPI_ARRAY_RED_SUM_SQUARES == RP_ARRAY_SUM_SQUARES,
               "ORDER of array_reductions.def");

enum { BODY_SIZE = 512 };

/* Appends "i0,i2" for the axes of `mask`. */
static void add_axes(char *body, int32_t rank, uint32_t mask) {
  bool first = true;
  for (int32_t d = 0; d < rank; d++) {
    if (!(mask >> d & 1)) continue;
    snprintf(body + strlen(body), BODY_SIZE - strlen(body), "%si%d", first ? "" : ",", (int)d);
    first = false;
  }
}

/* "name" or "name[i0,i1]". */
static void add_ref(char *body, const char *name, int32_t rank, uint32_t mask) {
  snprintf(body + strlen(body), BODY_SIZE - strlen(body), "%s", name);
  if (!mask) return;
  strcat(body, "[");
  add_axes(body, rank, mask);
  strcat(body, "]");
}

/* The body of a reduction: at most 8 indices in each of at most four places, far below BODY_SIZE. */
static void write_body(char *body, const char *word, const char *element, int32_t rank,
                       uint32_t mask) {
  const uint32_t all = (1u << rank) - 1;
  body[0] = '\0';
  add_ref(body, "out", rank, all & ~mask);
  snprintf(body + strlen(body), BODY_SIZE - strlen(body), " = %s(", word);
  add_axes(body, rank, mask);
  strcat(body, ") ");
  for (const char *c = element; *c; c++) {
    if (*c == '@') {
      add_ref(body, "x", rank, all);
    } else {
      strncat(body, c, 1);
    }
  }
}

static rp_status red_get(rpi_array_red red, rp_store *x, uint32_t mask, rp_op **out) {
  *out = NULL;
  rpi_array_table *t;
  rp_status status = rpi_array_table_get(rp_store_context(x), &t);
  if (status != RP_OK) return status;
  const int32_t rank = rp_store_ndim(x);
  const rpi_array_kind kind = rpi_array_table_kind(rp_store_dtype(x));
  rp_op ***ops = &t->red[red][kind][rank];
  if (!*ops) *ops = calloc((size_t)1 << rank, sizeof **ops);
  if (!*ops) return rpi_failure_memory("the array library's table of reductions");
  rp_op **slot = &(*ops)[mask];
  if (!*slot) {
    char name[48], body[BODY_SIZE];
    snprintf(name, sizeof name, "%s.%d.%d.%02x", red_rows[red].name, (int)kind, (int)rank,
             (unsigned)mask);
    write_body(body, red_rows[red].word, red_rows[red].element[kind], rank, mask);
    status = rp_op_create(t->lib, name, "out, x", body, slot);
  }
  *out = *slot;
  return status;
}

/* The bit set of reduced axes; checks what a body cannot see. */
static rp_status axes_mask(const char *name, rp_store *x, int32_t n_axes, const int32_t *axes,
                           uint32_t *mask) {
  const int32_t rank = rp_store_ndim(x);
  *mask = 0;
  if (rank < 0) {
    return rpi_failure_set(RP_ERR_HANDLE, "array.%s: x is NULL or released", name);
  }
  if (n_axes == 0) *mask = (1u << rank) - 1;
  if (n_axes > 0 && !axes) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: %d axes, but axes is NULL", name,
                           (int)n_axes);
  }
  if (n_axes < 0 || n_axes > rank) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: %d axes of an array of rank %d", name,
                           (int)n_axes, (int)rank);
  }
  for (int32_t k = 0; k < n_axes; k++) {
    const int32_t axis = axes[k] < 0 ? axes[k] + rank : axes[k];
    if (axis < 0 || axis >= rank || (*mask >> axis & 1)) {
      return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: axis %d of an array of rank %d is %s",
                             name, (int)axes[k], (int)rank,
                             axis < 0 || axis >= rank ? "out of range" : "named twice");
    }
    *mask |= 1u << axis;
  }
  return RP_OK;
}

/* Elements that combine into one: the product of the reduced extents. */
static int64_t reduced_count(rp_store *x, uint32_t mask) {
  int64_t n = 1;
  for (int32_t d = 0; d < rp_store_ndim(x); d++) {
    if (mask >> d & 1) n *= rp_store_extent(x, d);
  }
  return n;
}

static rp_status need_elements(const char *name, rp_store *x, uint32_t mask) {
  if (reduced_count(x, mask) > 0) return RP_OK;
  return rpi_failure_set(RP_ERR_SHAPE, "array.%s: the %s of no elements has no value", name, name);
}

/* A rank-0 array has no axis to reduce: view it as one element along one. */
static rp_status at_least_1d(rp_store *x, rp_store **out) {
  if (rp_store_ndim(x) != 0) {
    *out = x;
    return rp_store_retain(x);
  }
  return rp_store_promote(x, 0, 1, out);
}

static rp_status reduce_mask(rpi_array_red red, rp_store *x, uint32_t mask, rp_store *to,
                             rp_store **out) {
  rp_store *view;
  rp_status status = at_least_1d(x, &view);
  if (status != RP_OK) return status;
  if (rp_store_ndim(x) == 0) mask = 1;
  rp_op *op;
  status = red_get(red, view, mask, &op);
  if (status == RP_OK) {
    rp_store *stores[2] = {NULL, view};
    status = rpi_array_table_run(op, stores, 2, NULL, to, out);
  }
  rp_store_release(view);
  return status;
}

/* The one-body reduction that a code starts with. */
static rpi_array_red first_pass(rp_array_reduction code) {
  if (code == RP_ARRAY_MEAN) return RPI_ARRAY_RED_SUM_FLOAT;
  if (code == RP_ARRAY_NORM) return RPI_ARRAY_RED_SUM_SQUARES;
  return (rpi_array_red)code;
}

static rp_status reduce_any(rp_array_reduction code, rp_store *x, uint32_t mask, rp_store *to,
                            rp_store **out) {
  rp_store *made = NULL;
  rp_status status = reduce_mask(first_pass(code), x, mask, to, to ? NULL : &made);
  rp_store *result = to ? to : made;
  if (status == RP_OK && code == RP_ARRAY_MEAN) {
    const double n = (double)reduced_count(x, mask);
    status = rp_array_binary_float_to(RP_ARRAY_DIVIDE, result, n, result);
  } else if (status == RP_OK && code == RP_ARRAY_NORM) {
    status = rp_array_unary_to(RP_ARRAY_SQRT, result, result);
  }
  if (status != RP_OK) {
    rp_store_release(made);
    return status;
  }
  if (!to) *out = made;
  return RP_OK;
}

/* Gives the reduced axes back with extent 1. Takes the reference *s, also on failure. */
static rp_status restore_axes(rp_store **s, int32_t rank, uint32_t mask) {
  for (int32_t d = 0; d < rank; d++) {
    if (!(mask >> d & 1)) continue;
    rp_store *wider;
    const rp_status status = rp_store_promote(*s, d, 1, &wider);
    rp_store_release(*s);
    *s = wider;
    if (status != RP_OK) return status;
  }
  return RP_OK;
}

static rp_status check_reduce(rp_array_reduction code, rp_store *x, int32_t n_axes,
                              const int32_t *axes, uint32_t *mask) {
  if (code < 0 || code >= RP_ARRAY_N_REDUCTIONS) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "array: %d is no reduction", (int)code);
  }
  const char *name = red_rows[first_pass(code)].name;
  rp_status status = axes_mask(name, x, n_axes, axes, mask);
  if (status == RP_OK && (code == RP_ARRAY_MIN || code == RP_ARRAY_MAX)) {
    status = need_elements(name, x, *mask);
  }
  return status;
}

rp_status rp_array_reduce(rp_array_reduction code, rp_store *x, int32_t n_axes, const int32_t *axes,
                          int32_t keep_dims, rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_reduce: out is NULL");
  *out = NULL;
  uint32_t mask;
  rp_status status = check_reduce(code, x, n_axes, axes, &mask);
  rp_store *result = NULL;
  if (status == RP_OK) status = reduce_any(code, x, mask, NULL, &result);
  if (status == RP_OK && keep_dims) status = restore_axes(&result, rp_store_ndim(x), mask);
  if (status == RP_OK) *out = result;
  return status;
}

/* The body itself would take a smaller one, and leave elements of x out. */
static rp_status check_result(const char *name, rp_store *x, uint32_t mask, rp_store *out) {
  int32_t kept = 0;
  const int32_t rank = rp_store_ndim(x), have = rp_store_ndim(out);
  for (int32_t d = 0; d < rank; d++) {
    if (mask >> d & 1) continue;
    const int64_t extent = rp_store_extent(x, d);
    if (kept < have && rp_store_extent(out, kept) != extent) {
      return rpi_failure_set(RP_ERR_SHAPE,
                             "array.%s: axis %d of out has extent %lld, the result %lld", name,
                             (int)kept, (long long)rp_store_extent(out, kept), (long long)extent);
    }
    kept++;
  }
  if (kept == have || have < 0) return RP_OK; /* the launch refuses bad handles */
  return rpi_failure_set(RP_ERR_SHAPE, "array.%s: out has rank %d, the result %d", name, (int)have,
                         (int)kept);
}

rp_status rp_array_reduce_to(rp_array_reduction code, rp_store *x, int32_t n_axes,
                             const int32_t *axes, rp_store *out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_reduce_to: out is NULL");
  uint32_t mask;
  rp_status status = check_reduce(code, x, n_axes, axes, &mask);
  if (status == RP_OK) status = check_result(red_rows[first_pass(code)].name, x, mask, out);
  return status == RP_OK ? reduce_any(code, x, mask, out, NULL) : status;
}

rp_status rp_array_sum(rp_store *x, rp_store **out) {
  return rp_array_reduce(RP_ARRAY_SUM, x, 0, NULL, 0, out);
}

rp_status rp_array_norm(rp_store *x, rp_store **out) {
  return rp_array_reduce(RP_ARRAY_NORM, x, 0, NULL, 0, out);
}

/* ---- dot -------------------------------------------------------------------------------------- */

static rp_status dot_get(rp_store *a, rp_op **out) {
  *out = NULL;
  rpi_array_table *t;
  rp_status status = rpi_array_table_of("dot", a, &t);
  if (status != RP_OK) return status;
  const int32_t rank = rp_store_ndim(a);
  if (!t->dot[rank]) {
    char name[16], body[BODY_SIZE];
    const uint32_t all = (1u << rank) - 1;
    snprintf(name, sizeof name, "dot.%d", (int)rank);
    snprintf(body, sizeof body, "out = ");
    if (rank > 0) {
      strcat(body, "sum(");
      add_axes(body, rank, all);
      strcat(body, ") ");
    }
    add_ref(body, "a", rank, all);
    strcat(body, "*");
    add_ref(body, "b", rank, all);
    status = rp_op_create(t->lib, name, "out, a, b", body, &t->dot[rank]);
  }
  *out = t->dot[rank];
  return status;
}

static rp_status dot(rp_store *a, rp_store *b, rp_store *to, rp_store **out) {
  rp_op *op;
  rp_status status = dot_get(a, &op);
  if (status != RP_OK) return status;
  const int32_t rank = rp_store_ndim(a);
  if (rp_store_ndim(b) < 0) {
    return rpi_failure_set(b ? RP_ERR_HANDLE : RP_ERR_ARGUMENT, "array.dot: b is %s",
                           b ? "no store (or was released)" : "NULL");
  }
  if (rp_store_ndim(b) != rank) {
    return rpi_failure_set(RP_ERR_SHAPE, "array.dot: a has rank %d, b %d", (int)rank,
                           (int)rp_store_ndim(b));
  }
  for (int32_t d = 0; d < rank; d++) {
    const int64_t m = rp_store_extent(a, d), n = rp_store_extent(b, d);
    if (m == n) continue;
    return rpi_failure_set(RP_ERR_SHAPE, "array.dot: axis %d of a has extent %lld, of b %lld",
                           (int)d, (long long)m, (long long)n);
  }
  if (rpi_array_table_kind(rp_store_dtype(a)) != RPI_ARRAY_FLOATING ||
      rpi_array_table_kind(rp_store_dtype(b)) != RPI_ARRAY_FLOATING) {
    return rpi_failure_set(RP_ERR_DTYPE, "array.dot: %s and %s are not both floating",
                           rp_dtype_name(rp_store_dtype(a)), rp_dtype_name(rp_store_dtype(b)));
  }
  rp_store *stores[3] = {NULL, a, b};
  return rpi_array_table_run(op, stores, 3, NULL, to, out);
}

rp_status rp_array_dot(rp_store *a, rp_store *b, rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_dot: out is NULL");
  *out = NULL;
  return dot(a, b, NULL, out);
}

rp_status rp_array_dot_to(rp_store *a, rp_store *b, rp_store *out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_dot_to: out is NULL");
  return dot(a, b, out, NULL);
}

/* ---- argmin, argmax ------------------------------------------------------------------------------ */

/* x in C order as one axis: a view where the strides allow it, else of a copy. */
static rp_status flatten(rp_store *x, rp_store **out) {
  const int64_t all = rp_store_size(x);
  if (rp_store_reshape(x, 1, &all, out) == RP_OK) return RP_OK;
  rp_store *copy;
  rp_status status = rp_array_copy(x, &copy);
  if (status != RP_OK) return status;
  status = rp_store_reshape(copy, 1, &all, out);
  rp_store_release(copy);
  return status;
}

static rp_status arg_reduce(rpi_array_red red, rp_store *x, int32_t axis, rp_store **out) {
  const char *name = red_rows[red].name;
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: out is NULL", name);
  *out = NULL;
  const bool whole = axis == RP_ARRAY_ALL_AXES;
  uint32_t mask;
  rp_status status = axes_mask(name, x, whole ? 0 : 1, whole ? NULL : &axis, &mask);
  if (status == RP_OK) status = need_elements(name, x, mask);
  if (status != RP_OK) return status;
  if (!whole) return reduce_mask(red, x, mask, NULL, out);
  rp_store *flat;
  status = flatten(x, &flat);
  if (status != RP_OK) return status;
  status = reduce_mask(red, flat, 1, NULL, out);
  rp_store_release(flat);
  return status;
}

rp_status rp_array_argmin(rp_store *x, int32_t axis, rp_store **out) {
  return arg_reduce(RPI_ARRAY_RED_ARGMIN, x, axis, out);
}

rp_status rp_array_argmax(rp_store *x, int32_t axis, rp_store **out) {
  return arg_reduce(RPI_ARRAY_RED_ARGMAX, x, axis, out);
}
