/* SPDX-License-Identifier: Apache-2.0
 * tests/ranks/program_data.c -- what depends on data, on ranks that are processes: scatters, outputs whose size a function
 * decides, and images by hint. Each rank prints the bits of all it computed; tests/ranks/run_examples.py compares them
 * with those of one process, over shared memory and TCP. What threads as ranks do of it: tests/unit/test_api_*. */
#include "tests/examples/example.h"

enum { N = 20011, BINS = 9001, PASSES = 5 }; /* arrays of both sizes are shared out by default */

#define ARG(k, x) \
  { .kind = RP_ARG_##k, .a = (x) }
#define ROOM(x, y, f) \
  { .kind = RP_CONSTRAINT_SCALE, .a = (x), .b = (y), .factor = (f) }

/* Which of x are below the limit, and where they were. */
static void keep(double *out, int64_t *n_out, int64_t *where, int64_t *n_where, const double *x,
                 int64_t n, int64_t at, double limit) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    if (x[i] < limit) {
      out[k] = x[i];
      where[k++] = at + i;
    }
  *n_out = *n_where = k;
}

/* Element i comes i % 4 times. */
static void repeat(double *out, int64_t *n_out, const double *x, int64_t n, int64_t at) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < (at + i) % 4; j++) out[k++] = x[i] + (double)j;
  *n_out = k;
}

static void pick(double *y, int64_t n, const int64_t *at, const double *x) {
  for (int64_t i = 0; i < n; i++) y[i] = 0.5 * y[i] + x[at[i]];
}

static rp_op *make(rp_library *lib, rp_opaque_desc d) {
  rp_op *op;
  d.struct_size = sizeof d;
  d.flags = RP_OPAQUE_SPLIT | RP_OPAQUE_DENSE;
  d.block_rows = 1;
  d.constraint_size = sizeof(rp_constraint);
  RP_CHECK(rp_op_create_opaque(lib, &d, &op));
  return op;
}

static rp_op *make_keep(rp_library *lib) {
  static const int32_t rights[] = {RP_PRIV_UNBOUND, RP_PRIV_UNBOUND, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {ARG(PTR, 0), ARG(COUNT, 0),  ARG(PTR, 1),    ARG(COUNT, 1),
                                       ARG(PTR, 2), ARG(EXTENT, 2), ARG(OFFSET, 2), ARG(SCALAR, 0)};
  static const rp_constraint rules[] = {ROOM(0, 2, 1), ROOM(1, 2, 1)};
  return make(lib, (rp_opaque_desc){.name = "keep",
                                    .params = "out, where, x, limit:f64",
                                    .privileges = rights,
                                    .function = (void (*)(void))keep,
                                    .args = args,
                                    .n_args = 8,
                                    .constraints = rules,
                                    .n_constraints = 2});
}

static rp_op *make_repeat(rp_library *lib) {
  static const int32_t rights[] = {RP_PRIV_UNBOUND, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {ARG(PTR, 0), ARG(COUNT, 0), ARG(PTR, 1), ARG(EXTENT, 1),
                                       ARG(OFFSET, 1)};
  static const rp_constraint rules[] = {ROOM(0, 1, 3)};
  return make(lib, (rp_opaque_desc){.name = "repeat",
                                    .params = "out, x",
                                    .privileges = rights,
                                    .function = (void (*)(void))repeat,
                                    .args = args,
                                    .n_args = 5,
                                    .constraints = rules,
                                    .n_constraints = 1});
}

static rp_op *make_pick(rp_library *lib, const char *name, rp_constraint_kind image) {
  static const int32_t rights[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {ARG(PTR, 0), ARG(EXTENT, 0), ARG(PTR, 1), ARG(PTR, 2)};
  const rp_constraint rules[] = {{.kind = RP_CONSTRAINT_ALIGN, .a = 0, .b = 1},
                                 {.kind = image, .a = 2, .b = 1}};
  return make(lib, (rp_opaque_desc){.name = name,
                                    .params = "y, at, x",
                                    .privileges = rights,
                                    .function = (void (*)(void))pick,
                                    .args = args,
                                    .n_args = 4,
                                    .constraints = rules,
                                    .n_constraints = 2});
}

static rp_store *store(rp_context *ctx, rp_dtype dtype, int64_t n) {
  rp_store *s;
  RP_CHECK(rp_store_create(ctx, dtype, 1, &n, &s));
  return s;
}

static rp_store *unbound(rp_context *ctx, rp_dtype dtype) {
  rp_store *s;
  RP_CHECK(rp_store_create_unbound(ctx, dtype, 1, NULL, &s));
  return s;
}

static void drop(rp_store *s) { RP_CHECK(rp_store_release(s)); }

/* Sums, counts and minima by indices that change in each pass, twice without; the sums are gathered from again. */
static void scatters(rp_context *ctx, rp_store *x) {
  rp_store *b = store(ctx, RP_I64, N), *h = store(ctx, RP_F64, BINS);
  rp_store *least = store(ctx, RP_F64, BINS), *counts = store(ctx, RP_I32, BINS);
  RP_CHECK(RP_DO(ctx, "b[i] = (i*7919) % 9001", b));
  for (int32_t pass = 0; pass < PASSES; pass++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    RP_CHECK(RP_DO(ctx, "h[b[i]] += x[i]", h, b, x));
    RP_CHECK(RP_DO(ctx, "least[b[i]] min= x[i] - i", least, b, x));
    RP_CHECK(RP_DO(ctx, "counts[b[i]//3] += 1", counts, b));
    RP_CHECK(RP_DO(ctx, "x[i] = 0.9*x[i] + 0.01*h[b[i]]", x, h, b));
    RP_CHECK(rp_trace_end(ctx, 1));
    if (pass != 1 && pass != 2) RP_CHECK(RP_DO(ctx, "b = (b + 13) % 9001", b));
  }
  rp_store *all[] = {h, least, counts, b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    example_bits_add(all[i]);
    drop(all[i]);
  }
}

/* Sizes that differ from pass to pass, none and all among them; where elements were, sums go. */
static void sizes(rp_context *ctx, rp_library *lib, rp_store *x) {
  static const double limits[PASSES] = {0.5, -1e9, 1e9, 0.1, 0.7};
  rp_op *filter = make_keep(lib), *more = make_repeat(lib);
  rp_store *sums = store(ctx, RP_F64, N);
  RP_CHECK(RP_DO(ctx, "x[i] = f64((i*37) % 1009)/1009", x));
  for (int32_t pass = 0; pass < PASSES; pass++) {
    rp_store *some = unbound(ctx, RP_F64), *where = unbound(ctx, RP_I64),
             *many = unbound(ctx, RP_F64);
    RP_CHECK(
        rp_launch(filter, (rp_store *[]){some, where, x}, 3, (const void *[]){&limits[pass]}, 1));
    RP_CHECK(rp_launch(more, (rp_store *[]){many, some}, 2, NULL, 0));
    RP_CHECK(RP_DO(ctx, "many = many*0.5", many));
    if (rp_store_extent(where, 0) > 0)
      RP_CHECK(RP_DO(ctx, "sums[where[i]] += some[i]", sums, where, some));
    example_bits_add(some);
    example_bits_add(where);
    example_bits_add(many);
    drop(some);
    drop(where);
    drop(many);
  }
  example_bits_add(sums);
  drop(sums);
}

static void images(rp_context *ctx, rp_library *lib, rp_store *x) {
  rp_op *picks[] = {make_pick(lib, "exactly", RP_CONSTRAINT_IMAGE),
                    make_pick(lib, "between", RP_CONSTRAINT_IMAGE_MIN_MAX),
                    make_pick(lib, "from_to", RP_CONSTRAINT_IMAGE_FIRST_LAST)};
  rp_store *at = store(ctx, RP_I64, N), *y = store(ctx, RP_F64, N);
  RP_CHECK(RP_DO(ctx, "at[i] = i", at));
  for (int32_t pass = 0; pass < PASSES; pass++) {
    RP_CHECK(RP_DO(ctx, "at = min(at + 301, 20010)", at));
    for (int32_t k = 0; k < 3; k++) {
      RP_CHECK(rp_launch(picks[k], (rp_store *[]){y, at, x}, 3, NULL, 0));
      RP_CHECK(RP_DO(ctx, "x = 0.99*x + 0.001", x));
    }
  }
  example_bits_add(y);
  drop(at);
  drop(y);
}

int main(void) {
  rp_context *ctx;
  rp_library *lib;
  RP_CHECK(rp_context_create(NULL, &ctx));
  RP_CHECK(rp_library_create(ctx, "data", &lib));
  rp_store *x = store(ctx, RP_F64, N);
  RP_CHECK(RP_DO(ctx, "x[i] = 1/(1.0 + f64(i % 977))", x));
  scatters(ctx, x);
  sizes(ctx, lib, x);
  images(ctx, lib, x);
  example_bits_add(x);
  example_bits_print();
  drop(x);
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
