/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier.c -- discrete Fourier transforms as opaque ops.
 *
 * Lives here: the ops of a context, the checks of shapes, what a call launches, what a GPU's function makes of a launch.
 * Not here:   the transforms (fourier_calls.h, cufft.h).
 * How:        on the host a batch is one launch, which is cut along the batch. Several axes without a batch are two: those
 *             behind the first are transforms with the first one as their batch; the first one is transformed in views that
 *             have an axis of its lines in front. Several ranks, which hold rows, copy such a view, and so have whole lines:
 *             two exchanges of all with all. On a GPU a call is one launch, and what inverse transforms divide by is
 *             a factor in a launch of its own, which fuses with what is before or behind it. */
#include <stdbool.h>
#include <stdlib.h>

#include "core/include/reprise_fourier.h"
#include "kernels/failure.h"
#include "kernels/fourier/cufft.h"
#include "kernels/fourier/fourier_cache.h"
#include "kernels/fourier/fourier_calls.h"

typedef enum kind { COMPLEX, FROM_REAL, TO_REAL, KINDS } kind;

typedef struct table {
  rp_library *lib;
  rpi_fourier_cache *cache;
  bool on_gpu;
  rp_op *block[KINDS][2][2]; /* of f32, f64; whole, split along the batch */
  rp_op *columns[2];
  rp_op *scale, *scaled; /* on a GPU */
} table;

/* Its address is the key of the table in a context. */
static const char table_key;

/* ---- ops ---- */

enum { Y, X };                           /* stores */
enum { INVERSE, N1, N2, N3, N_SCALARS }; /* scalars of blocks; columns have the first one */

static rp_status transform_on_gpu(const rp_gpu_call *call, kind k) {
  static const int32_t types[KINDS][2] = {{RPI_CUFFT_C2C, RPI_CUFFT_Z2Z},
                                          {RPI_CUFFT_R2C, RPI_CUFFT_D2Z},
                                          {RPI_CUFFT_C2R, RPI_CUFFT_Z2D}};
  const rp_gpu_store *y = call->stores[Y], *x = call->stores[X];
  const bool inverse = *(const int32_t *)call->scalars[INVERSE] != 0;
  rpi_cufft_transform t = {.type = types[k][y->dtype == RP_F64],
                           .direction = inverse ? RPI_CUFFT_INVERSE : RPI_CUFFT_FORWARD,
                           .batch = 1,
                           .x = x->address,
                           .y = y->address};
  /* Axes of one element are none; of a real array the last one is always there. */
  for (int32_t i = N1; i <= N3; i++) {
    const int64_t n = *(const int64_t *)call->scalars[i];
    if (n > 1 || i == N3) t.n[t.axes++] = n;
  }
  const rp_gpu_store *whole = k == TO_REAL ? y : x;
  for (int32_t d = 0; d < whole->ndim; d++) t.batch *= whole->extents[d];
  for (int32_t i = 0; i < t.axes; i++) t.batch /= t.n[i];
  if (k == COMPLEX) t.batch /= 2;
  return rpi_cufft_transform_queue(call, &t);
}
static rp_status complex_on_gpu(const rp_gpu_call *call) { return transform_on_gpu(call, COMPLEX); }
static rp_status from_real_on_gpu(const rp_gpu_call *call) {
  return transform_on_gpu(call, FROM_REAL);
}
static rp_status to_real_on_gpu(const rp_gpu_call *call) { return transform_on_gpu(call, TO_REAL); }

static rp_status make_block(const table *t, kind k, bool wide, bool split, rp_op **out) {
  static const char *const names[KINDS][2][2] = {{{"c2c", "c2c_rows"}, {"z2z", "z2z_rows"}},
                                                 {{"r2c", "r2c_rows"}, {"d2z", "d2z_rows"}},
                                                 {{"c2r", "c2r_rows"}, {"z2d", "z2d_rows"}}};
  static void (*const functions[KINDS])(void) = {(void (*)(void))rpi_fourier_calls_complex,
                                                 (void (*)(void))rpi_fourier_calls_from_real,
                                                 (void (*)(void))rpi_fourier_calls_to_real};
  static const rp_gpu_variant gpu[KINDS] = {
      {.struct_size = sizeof *gpu, .function = complex_on_gpu},
      {.struct_size = sizeof *gpu, .function = from_real_on_gpu},
      {.struct_size = sizeof *gpu, .function = to_real_on_gpu}};
  const int32_t privileges[] = {RP_PRIV_WRITE,
                                t->on_gpu && k == TO_REAL ? RP_PRIV_READ_WRITE : RP_PRIV_READ};
  const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = Y},
                                {.kind = RP_ARG_PTR, .a = X},
                                {.kind = RP_ARG_SIZE, .a = k == TO_REAL ? X : Y},
                                {.kind = RP_ARG_CONST, .value = (int64_t)(intptr_t)t->cache},
                                {.kind = RP_ARG_CONST, .value = wide},
                                {.kind = RP_ARG_SCALAR, .a = INVERSE},
                                {.kind = RP_ARG_SCALAR, .a = N1},
                                {.kind = RP_ARG_SCALAR, .a = N2},
                                {.kind = RP_ARG_SCALAR, .a = N3}};
  const rp_constraint batch = {.kind = RP_CONSTRAINT_ALIGN, .a = Y, .b = X};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = names[k][wide][split],
                            .params = "y, x, inverse:i32, n1:i64, n2:i64, n3:i64",
                            .privileges = privileges,
                            .function = functions[k],
                            .args = args,
                            .n_args = sizeof args / sizeof *args,
                            .flags =
                                RP_OPAQUE_DENSE | RP_OPAQUE_STATUS | (split ? RP_OPAQUE_SPLIT : 0),
                            .constraints = split ? &batch : NULL,
                            .n_constraints = split,
                            .constraint_size = sizeof batch,
                            .gpu = t->on_gpu ? &gpu[k] : NULL};
  return rp_op_create_opaque(t->lib, &d, out);
}

static rp_status make_columns(const table *t, bool wide, rp_op **out) {
  static const char *const names[] = {"c2c_columns", "z2z_columns"};
  const int32_t privileges[] = {RP_PRIV_WRITE, RP_PRIV_READ};
  const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = Y},
                                {.kind = RP_ARG_PTR, .a = X},
                                {.kind = RP_ARG_EXTENT, .a = Y, .b = 0},
                                {.kind = RP_ARG_EXTENT, .a = Y, .b = 1},
                                {.kind = RP_ARG_EXTENT, .a = Y, .b = 2},
                                {.kind = RP_ARG_STRIDE, .a = Y, .b = 0},
                                {.kind = RP_ARG_STRIDE, .a = Y, .b = 1},
                                {.kind = RP_ARG_STRIDE, .a = Y, .b = 2},
                                {.kind = RP_ARG_STRIDE, .a = Y, .b = 3},
                                {.kind = RP_ARG_STRIDE, .a = X, .b = 0},
                                {.kind = RP_ARG_STRIDE, .a = X, .b = 1},
                                {.kind = RP_ARG_STRIDE, .a = X, .b = 2},
                                {.kind = RP_ARG_STRIDE, .a = X, .b = 3},
                                {.kind = RP_ARG_CONST, .value = (int64_t)(intptr_t)t->cache},
                                {.kind = RP_ARG_CONST, .value = wide},
                                {.kind = RP_ARG_SCALAR, .a = INVERSE}};
  const rp_constraint rows = {.kind = RP_CONSTRAINT_ALIGN, .a = Y, .b = X, .axis = RP_ALL_AXES};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = names[wide],
                            .params = "y, x, inverse:i32",
                            .privileges = privileges,
                            .function = (void (*)(void))rpi_fourier_calls_columns,
                            .args = args,
                            .n_args = sizeof args / sizeof *args,
                            .flags = RP_OPAQUE_STATUS | RP_OPAQUE_SPLIT,
                            .constraints = &rows,
                            .n_constraints = 1,
                            .constraint_size = sizeof rows};
  return rp_op_create_opaque(t->lib, &d, out);
}

static void free_table(void *data) {
  table *t = data;
  rpi_fourier_cache_free(t->cache);
  free(t);
}

static rp_status table_of(rp_context *ctx, table **out) {
  table *t = *out = rp_context_data(ctx, &table_key);
  if (t) return RP_OK;
  t = calloc(1, sizeof *t);
  if (t) t->cache = rpi_fourier_cache_create();
  if (!t || !t->cache) {
    free(t);
    return rpi_failure_memory("the Fourier library's table of ops");
  }
  /* Not among ranks: what is launched must not depend on what one of them finds. */
  t->on_gpu = rp_context_ranks(ctx) == 1 && rp_context_gpus(ctx) > 0 && rpi_cufft_found();
  rp_status status = rp_library_create(ctx, "fourier", &t->lib);
  if (status == RP_OK && t->on_gpu)
    status = rp_op_create(t->lib, "scale", "y, s:float", "y = y*s", &t->scale);
  if (status == RP_OK && t->on_gpu)
    status = rp_op_create(t->lib, "scaled", "y, x, s:float", "y = x*s", &t->scaled);
  if (status == RP_OK) status = rp_context_set_data(ctx, &table_key, t, free_table);
  if (status == RP_OK)
    *out = t;
  else
    free_table(t);
  return status;
}

/* ---- checks ---- */

/* What a call has been asked for. */
typedef struct request {
  const char *function;
  kind k;
  bool inverse, wide;
  int32_t axes;
  rp_store *x, *y, *real, *complex; /* real: of a complex transform x, as `complex` is y */
  int64_t n[3];                     /* 1 in front of the axes */
  table *t;
} request;

static rp_status check_store(const request *r, const char *name, rp_store *s, bool is_complex) {
  const int32_t least = r->axes + is_complex;
  if (!s) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: %s is NULL", r->function, name);
  if (!rp_store_context(s))
    return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is no store (or was released)", r->function,
                           name);
  const rp_dtype dtype = rp_store_dtype(s), other = rp_store_dtype(r->x);
  if ((dtype != RP_F32 && dtype != RP_F64) || dtype != other)
    return rpi_failure_set(RP_ERR_DTYPE, "%s: %s is %s: both stores are f32, or both are f64",
                           r->function, name, rp_dtype_name(dtype));
  const int32_t ndim = rp_store_ndim(s);
  if (ndim < least)
    return rpi_failure_set(RP_ERR_SHAPE, "%s: %s has %d axes, not %d for %d to transform%s",
                           r->function, name, (int)ndim, (int)least, (int)r->axes,
                           is_complex ? " and the parts" : "");
  if (is_complex && rp_store_extent(s, ndim - 1) != 2)
    return rpi_failure_set(
        RP_ERR_SHAPE,
        "%s: %s has %lld elements along its last axis, not a real and an imaginary part",
        r->function, name, (long long)rp_store_extent(s, ndim - 1));
  return RP_OK;
}

/* The shapes belong together; r->n is what is transformed. */
static rp_status check_shapes(request *r) {
  const int32_t lead = rp_store_ndim(r->real) - (r->k == COMPLEX);
  if (rp_store_ndim(r->complex) != lead + 1)
    return rpi_failure_set(RP_ERR_SHAPE, "%s: x has %d axes, y has %d", r->function,
                           (int)rp_store_ndim(r->x), (int)rp_store_ndim(r->y));
  for (int32_t d = 0; d < lead; d++) {
    const int64_t n = rp_store_extent(r->real, d);
    const bool halved = r->k != COMPLEX && d == lead - 1;
    const int64_t want = halved ? n / 2 + 1 : n, has = rp_store_extent(r->complex, d);
    if (d >= lead - r->axes && n < 1)
      return rpi_failure_set(RP_ERR_SHAPE, "%s: axis %d, which is transformed, has no elements",
                             r->function, (int)d);
    if (has != want)
      return rpi_failure_set(RP_ERR_SHAPE, "%s: axis %d has %lld elements in x and %lld in y%s",
                             r->function, (int)d, (long long)rp_store_extent(r->x, d),
                             (long long)rp_store_extent(r->y, d),
                             halved ? ": n of a real array are n/2 + 1 of a complex one" : "");
    if (d >= lead - r->axes) r->n[3 - (lead - d)] = n;
  }
  return RP_OK;
}

static rp_status check(request *r) {
  if (r->axes < 1 || r->axes > 3)
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: axes is %d, not 1, 2 or 3", r->function,
                           (int)r->axes);
  rp_status status = check_store(r, "x", r->x, r->k != FROM_REAL);
  if (status == RP_OK) status = check_store(r, "y", r->y, r->k != TO_REAL);
  if (status == RP_OK) status = check_shapes(r);
  r->wide = status == RP_OK && rp_store_dtype(r->x) == RP_F64;
  return status;
}

/* ---- launches ---- */

static rp_status launch_block(const request *r, rp_store *y, rp_store *x, bool split,
                              const int64_t *n) {
  const int32_t inverse = r->inverse;
  const void *const scalars[N_SCALARS] = {&inverse, &n[0], &n[1], &n[2]};
  rp_op **op = &r->t->block[r->k][r->wide][split];
  rp_status status = *op ? RP_OK : make_block(r->t, r->k, r->wide, split, op);
  if (status == RP_OK) status = rp_launch(*op, (rp_store *[]){y, x}, 2, scalars, N_SCALARS);
  return status;
}

/* A view of s, axes n1, n2, perhaps n3, and 2, as n2, n1, n3 (or 1), 2. */
static rp_status turned(rp_store *s, rp_store **out) {
  rp_store *full = s;
  rp_status status = RP_OK;
  *out = NULL;
  if (rp_store_ndim(s) == 3) status = rp_store_promote(s, 2, 1, &full);
  if (status == RP_OK) status = rp_store_transpose(full, (int32_t[]){1, 0, 2, 3}, out);
  if (full != s) rp_store_release(full);
  return status;
}

/* A new store like s. */
static rp_status another(rp_store *s, rp_store **out) {
  int64_t shape[RP_MAX_DIM];
  const int32_t ndim = rp_store_ndim(s);
  for (int32_t d = 0; d < ndim; d++) shape[d] = rp_store_extent(s, d);
  return rp_store_create(rp_store_context(s), rp_store_dtype(s), ndim, shape, out);
}

/* Several ranks hold rows: they exchange them for lines of the first axis, and back. */
static rp_status launch_moved(rp_op *op, rp_store *y, rp_store *x, const void *const *scalars) {
  rp_store *t;
  rp_status status = another(y, &t);
  if (status != RP_OK) return status;
  status = rp_store_copy(t, x);
  if (status == RP_OK) status = rp_launch(op, (rp_store *[]){t, t}, 2, scalars, 1);
  if (status == RP_OK) status = rp_store_copy(y, t);
  rp_store_release(t);
  return status;
}

/* The first axis of x, into y. */
static rp_status launch_columns(const request *r, rp_store *y, rp_store *x) {
  const int32_t inverse = r->inverse;
  const void *const scalars[] = {&inverse};
  rp_store *view[2] = {NULL, NULL};
  rp_op **op = &r->t->columns[r->wide];
  rp_status status = *op ? RP_OK : make_columns(r->t, r->wide, op);
  if (status == RP_OK) status = turned(y, &view[Y]);
  if (status == RP_OK) status = turned(x, &view[X]);
  if (status == RP_OK)
    status = rp_context_ranks(rp_store_context(x)) > 1
                 ? launch_moved(*op, view[Y], view[X], scalars)
                 : rp_launch(*op, view, 2, scalars, 1);
  rp_store_release(view[Y]);
  rp_store_release(view[X]);
  return status;
}

/* Without a batch: the first axis apart. Of real arrays to come it is the first to be transformed, else the last. */
static rp_status launch_apart(const request *r) {
  rp_store *t;
  int64_t n[3] = {r->n[0], r->n[1], r->n[2]};
  n[3 - r->axes] = 1;
  rp_status status = another(r->complex, &t);
  if (status != RP_OK) return status;
  if (r->k == TO_REAL) {
    status = launch_columns(r, t, r->x);
    if (status == RP_OK) status = launch_block(r, r->y, t, true, n);
  } else {
    status = launch_block(r, t, r->x, true, n);
    if (status == RP_OK) status = launch_columns(r, r->y, t);
  }
  rp_store_release(t);
  return status;
}

static rp_status launch_on_gpu(const request *r) {
  const double factor = 1.0 / ((double)r->n[0] * (double)r->n[1] * (double)r->n[2]);
  const void *const scalars[] = {&factor};
  rp_store *t;
  if (r->k != TO_REAL) {
    rp_status status = launch_block(r, r->y, r->x, false, r->n);
    if (status == RP_OK && r->inverse) status = rp_launch(r->t->scale, &r->y, 1, scalars, 1);
    return status;
  }
  /* What it overwrites is a copy, which may as well have the factor. */
  rp_status status = another(r->x, &t);
  if (status != RP_OK) return status;
  status = rp_launch(r->t->scaled, (rp_store *[]){t, r->x}, 2, scalars, 1);
  if (status == RP_OK) status = launch_block(r, r->y, t, false, r->n);
  rp_store_release(t);
  return status;
}

static rp_status transform(const char *function, kind k, bool inverse, int32_t axes, rp_store *x,
                           rp_store *y) {
  request r = {.function = function,
               .k = k,
               .inverse = inverse,
               .axes = axes,
               .x = x,
               .y = y,
               .real = k == TO_REAL ? y : x,
               .complex = k == TO_REAL ? x : y,
               .n = {1, 1, 1}};
  rp_status status = check(&r);
  if (status == RP_OK) status = table_of(rp_store_context(x), &r.t);
  if (status != RP_OK) return status;
  if (r.t->on_gpu) return launch_on_gpu(&r);
  const bool batch = rp_store_ndim(r.complex) > axes + 1;
  if (!batch && axes > 1) return launch_apart(&r);
  return launch_block(&r, y, x, batch, r.n);
}

rp_status rp_fourier_forward(int32_t axes, rp_store *x, rp_store *y) {
  return transform(__func__, COMPLEX, false, axes, x, y);
}

rp_status rp_fourier_inverse(int32_t axes, rp_store *x, rp_store *y) {
  return transform(__func__, COMPLEX, true, axes, x, y);
}

rp_status rp_fourier_forward_real(int32_t axes, rp_store *x, rp_store *y) {
  return transform(__func__, FROM_REAL, false, axes, x, y);
}

rp_status rp_fourier_inverse_real(int32_t axes, rp_store *x, rp_store *y) {
  return transform(__func__, TO_REAL, true, axes, x, y);
}
