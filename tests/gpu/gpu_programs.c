/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_programs.c -- see gpu_programs.h. Numbers are fixed sequences of [0, 0.5), so that nothing grows. */
#include "tests/gpu/gpu_programs.h"

#include <stdlib.h>

#include "tests/examples/array_calls.h"

void gpu_fill(rp_store *s, uint64_t seed) {
  const int64_t n = rp_store_size(s);
  const size_t bytes = (size_t)n * rp_dtype_size(rp_store_dtype(s));
  void *data = bench_alloc(bytes);
  for (int64_t i = 0; i < n; i++) {
    const double v = 0.5 * bench_random(&seed);
    if (rp_store_dtype(s) == RP_F64)
      ((double *)data)[i] = v;
    else
      ((float *)data)[i] = (float)v;
  }
  RP_CHECK(rp_store_write(s, data, bytes));
  bench_free(data, bytes);
}

void gpu_read(rp_store *s, double *out) {
  const int64_t n = rp_store_size(s);
  if (rp_store_dtype(s) == RP_F64) {
    RP_CHECK(rp_store_read(s, out, (size_t)n * sizeof *out));
    return;
  }
  float *narrow = bench_alloc((size_t)n * sizeof *narrow);
  RP_CHECK(rp_store_read(s, narrow, (size_t)n * sizeof *narrow));
  for (int64_t i = 0; i < n; i++) out[i] = (double)narrow[i];
  bench_free(narrow, (size_t)n * sizeof *narrow);
}

/* ---- element by element ------------------------------------------------------------------------------- */

typedef struct chain {
  rp_context *ctx;
  rp_store *a, *b, *t; /* t: each pass begins with what the last one left, or it would not run */
  rp_store *n,
      *go; /* of one that repeats itself: passes that are left, and whether there are; else NULL */
  rp_op *text;  /* that ends a pass; NULL: none */
  int rounds;   /* of three operations, behind the first one */
  bool waiting; /* for each pass */
} chain;

static void chain_pass(chain *c) {
  RP_CHECK(rp_array_add_to(c->t, c->b, c->t));
  for (int k = 0; k < c->rounds; k++) {
    RP_CHECK(rp_array_multiply_to(c->t, c->a, c->t));
    RP_CHECK(rp_array_subtract_to(c->t, c->b, c->t));
    RP_CHECK(rp_array_add_to(c->t, c->a, c->t));
  }
  if (c->text) RP_CHECK(rp_launch(c->text, (rp_store *const[]){c->t, c->a}, 2, NULL, 0));
}

/* The program makes the first pass, the GPU the others. */
static void chain_own(void *self, int64_t passes) {
  chain *c = self;
  int64_t made;
  if (passes == 0) return;
  RP_CHECK(rp_store_write(c->n, &passes, sizeof passes));
  RP_CHECK(rp_trace_begin(c->ctx, 1));
  chain_pass(c);
  RP_CHECK(rp_eval(c->ctx, "n", "n = n - 1", &c->n, 1));
  RP_CHECK(rp_eval(c->ctx, "go, n", "go = n > 0", (rp_store *const[]){c->go, c->n}, 2));
  RP_CHECK(rp_trace_repeat(c->ctx, 1, c->go, passes, &made));
  if (made != passes - 1)
    RP_CHECK(rp_error_set(RP_ERR_INTERNAL, "a pass repeats itself so often as it should not"));
}

static void chain_run(void *self, int64_t passes) {
  chain *c = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(c->ctx, 1));
    chain_pass(c);
    RP_CHECK(rp_trace_end(c->ctx, 1));
    if (c->waiting) RP_CHECK(rp_wait(c->ctx));
  }
}

static void chain_reset(void *self) {
  chain *c = self;
  gpu_fill(c->t, 3);
}

static void chain_result(void *self, double *out) { gpu_read(((chain *)self)->t, out); }

static void chain_free(void *self) {
  chain *c = self;
  rp_store *const all[] = {c->a, c->b, c->t, c->n, c->go};
  for (int i = 0; i < 5; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(c->ctx));
  free(c);
}

static bench_prog chain_make(const char *config, int64_t n, rp_dtype dtype, int rounds,
                             bool waiting) {
  chain *c = bench_need(sizeof *c);
  *c = (chain){.rounds = rounds, .waiting = waiting};
  RP_CHECK(rp_context_create(config, &c->ctx));
  rp_store **all[] = {&c->a, &c->b, &c->t};
  for (int i = 0; i < 3; i++) RP_CHECK(rp_store_create(c->ctx, dtype, 1, &n, all[i]));
  gpu_fill(c->a, 1);
  gpu_fill(c->b, 2);
  chain_reset(c);
  return (bench_prog){.self = c,
                      .reset = chain_reset,
                      .run = chain_run,
                      .result = chain_result,
                      .free = chain_free,
                      .n_result = n,
                      .ctx = c->ctx};
}

bench_prog gpu_chain_f64(const char *config, int64_t n) {
  return chain_make(config, n, RP_F64, 3, false);
}
bench_prog gpu_chain_f32(const char *config, int64_t n) {
  return chain_make(config, n, RP_F32, 3, false);
}
bench_prog gpu_hundred(const char *config, int64_t n) {
  return chain_make(config, n, RP_F64, 33, false);
}
bench_prog gpu_tiny(const char *config, int64_t n) {
  return chain_make(config, n, RP_F64, 3, true);
}
bench_prog gpu_tiny_own(const char *config, int64_t n) {
  bench_prog p = chain_make(config, n, RP_F64, 3, false);
  chain *c = p.self;
  RP_CHECK(rp_store_create(c->ctx, RP_I64, 0, NULL, &c->n));
  RP_CHECK(rp_store_create(c->ctx, RP_BOOL, 0, NULL, &c->go));
  p.run = chain_own;
  return p;
}

/* t = t/2 + a. An emulated GPU takes the parameters together. */
static const char halve_text[] =
    "#ifdef RPG_HOST\n"
    "struct halve { double *t; const double *a; long long n; };\n"
    "RPG_KERNEL(halve, halve) {\n"
    "  double *const t = a.t; const long long n = a.n;\n"
    "  const double *const add = a.a;\n"
    "  const long long i = (long long)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n"
    "#else\n"
    "extern \"C\" __global__ void halve(double *t, const double *add, long long n) {\n"
    "  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "#endif\n"
    "  if (i < n) t[i] = 0.5 * t[i] + add[i];\n"
    "}\n";

static void halve(double *t, const double *a, int64_t n) {
  for (int64_t i = 0; i < n; i++) t[i] = 0.5 * t[i] + a[i];
}

bench_prog gpu_tiny_text(const char *config, int64_t n) {
  static const int32_t privileges[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {
      {.kind = RP_ARG_PTR, .a = 0}, {.kind = RP_ARG_PTR, .a = 1}, {.kind = RP_ARG_SIZE, .a = 0}};
  static const rp_gpu_variant gpu = {
      .struct_size = sizeof gpu, .source = halve_text, .entry = "halve"};
  static const rp_opaque_desc d = {.struct_size = sizeof d,
                                   .name = "halve",
                                   .params = "t, a",
                                   .privileges = privileges,
                                   .function = (void (*)(void))halve,
                                   .args = args,
                                   .n_args = 3,
                                   .flags = RP_OPAQUE_DENSE,
                                   .gpu = &gpu};
  bench_prog p = gpu_tiny_own(config, n);
  chain *c = p.self;
  rp_library *lib;
  RP_CHECK(rp_library_create(c->ctx, "bench", &lib));
  RP_CHECK(rp_op_create_opaque(lib, &d, &c->text));
  return p;
}

/* ---- a stencil ------------------------------------------------------------------------------------------ */

enum { CENTER, NORTH, SOUTH, WEST, EAST, N_VIEW };

typedef struct stencil {
  rp_context *ctx;
  rp_store *grid[2], *view[2][N_VIEW];
  int64_t passes; /* so far: odd ones go back */
} stencil;

static void stencil_run(void *self, int64_t passes) {
  stencil *s = self;
  for (int64_t i = 0; i < passes; i++, s->passes++) {
    const int64_t way = s->passes % 2;
    rp_store *const *v = s->view[way];
    RP_CHECK(rp_trace_begin(s->ctx, 1 + way));
    rp_store *sum = bin(RP_ARRAY_ADD, v[CENTER], KEEP, v[NORTH], KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, v[EAST], KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, v[WEST], KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, v[SOUTH], KEEP);
    RP_CHECK(rp_array_float_binary_to(RP_ARRAY_MULTIPLY, 0.2, sum, s->view[1 - way][CENTER]));
    RP_CHECK(rp_store_release(sum));
    RP_CHECK(rp_trace_end(s->ctx, 1 + way));
  }
}

/* Both grids have the same border. */
static void stencil_reset(void *self) {
  stencil *s = self;
  for (int k = 0; k < 2; k++) gpu_fill(s->grid[k], 1);
  s->passes = 0;
}

static void stencil_result(void *self, double *out) {
  stencil *s = self;
  gpu_read(s->grid[s->passes % 2], out);
}

static void stencil_free(void *self) {
  stencil *s = self;
  for (int k = 0; k < 2; k++) {
    for (int i = 0; i < N_VIEW; i++) RP_CHECK(rp_store_release(s->view[k][i]));
    RP_CHECK(rp_store_release(s->grid[k]));
  }
  RP_CHECK(rp_context_destroy(s->ctx));
  free(s);
}

static bench_prog stencil_make(const char *config, int64_t n, rp_dtype dtype) {
  static const int64_t corner[N_VIEW][2] = {{1, 1}, {0, 1}, {2, 1}, {1, 0}, {1, 2}};
  const int64_t shape[] = {n + 2, n + 2};
  stencil *s = bench_need(sizeof *s);
  *s = (stencil){.passes = 0};
  RP_CHECK(rp_context_create(config, &s->ctx));
  for (int k = 0; k < 2; k++) {
    RP_CHECK(rp_store_create(s->ctx, dtype, 2, shape, &s->grid[k]));
    for (int i = 0; i < N_VIEW; i++) {
      const int64_t *lo = corner[i], hi[] = {lo[0] + n, lo[1] + n};
      RP_CHECK(rp_store_box(s->grid[k], lo, hi, &s->view[k][i]));
    }
  }
  stencil_reset(s);
  return (bench_prog){.self = s,
                      .reset = stencil_reset,
                      .run = stencil_run,
                      .result = stencil_result,
                      .free = stencil_free,
                      .n_result = shape[0] * shape[1],
                      .ctx = s->ctx};
}

bench_prog gpu_stencil_f64(const char *config, int64_t n) {
  return stencil_make(config, n, RP_F64);
}
bench_prog gpu_stencil_f32(const char *config, int64_t n) {
  return stencil_make(config, n, RP_F32);
}
